package coco.corda.service;

import coco.corda.wire.Party;
import com.google.protobuf.ByteString;
import java.security.PublicKey;
import net.corda.core.contracts.StateRef;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.AbstractParty;

/** Corda's values in the protocol's forms, and back: hashes, keys, references, parties. */
final class Forms {
    static final int HASH_BYTES = 32;

    private Forms() {}

    static ByteString bytes(SecureHash hash) {
        return ByteString.copyFrom(hash.getBytes());
    }

    static ByteString bytes(PublicKey key) {
        return ByteString.copyFrom(key.getEncoded());
    }

    static SecureHash hash(ByteString bytes, String what) {
        if (bytes.size() != HASH_BYTES) {
            throw FailedRequest.malformed(what + " has " + bytes.size() + " bytes, not " + HASH_BYTES);
        }
        return new SecureHash.SHA256(bytes.toByteArray());
    }

    static PublicKey key(ByteString bytes, String what) {
        try {
            return Crypto.decodePublicKey(bytes.toByteArray());
        } catch (Exception error) {
            throw FailedRequest.malformed(what + " is no key that Corda supports");
        }
    }

    static coco.corda.wire.StateRef message(StateRef ref) {
        return coco.corda.wire.StateRef.newBuilder().setTxId(bytes(ref.getTxhash())).setIndex(ref.getIndex()).build();
    }

    static StateRef ref(coco.corda.wire.StateRef message) {
        if (message.getIndex() < 0) {
            throw FailedRequest.malformed("an index is beyond 2^31 - 1");
        }
        return new StateRef(hash(message.getTxId(), "the transaction id of a reference"), message.getIndex());
    }

    static Party message(AbstractParty party) {
        Party.Builder message = Party.newBuilder().setKey(bytes(party.getOwningKey()));
        if (party.nameOrNull() != null) {
            message.setName(party.nameOrNull().toString());
        }
        return message.build();
    }
}
