package coco.corda.service;

import coco.corda.internal.Corda;
import coco.corda.wire.AssembleSignature;
import coco.corda.wire.AssembledSignature;
import coco.corda.wire.SignableTemplate;
import coco.corda.wire.Template;
import com.google.protobuf.ByteString;
import java.security.PublicKey;
import java.util.Arrays;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignableData;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;

/** What the notary signs and what its signature becomes; the key itself stays with the adapter. */
final class NotarySignature {
    private NotarySignature() {}

    /** Found by comparing the bytes for two ids, not known: where the id stands is up to Corda's version. */
    static Template template(SignableTemplate request) {
        SignatureMetadata metadata =
                new SignatureMetadata(request.getPlatformVersion(), request.getSchemeNumberId());
        byte[] low = filled((byte) 0x5a);
        byte[] high = filled((byte) 0xa5);
        byte[] first = Corda.serialize(new SignableData(new SecureHash.SHA256(low), metadata));
        byte[] second = Corda.serialize(new SignableData(new SecureHash.SHA256(high), metadata));
        int offset = Arrays.mismatch(first, second);
        if (offset < 0 || offset + Forms.HASH_BYTES > first.length) {
            throw new IllegalStateException("what Corda signs does not hold the transaction's id");
        }
        byte[] completed = first.clone();
        System.arraycopy(high, 0, completed, offset, Forms.HASH_BYTES);
        if (!Arrays.equals(completed, second)) {
            throw new IllegalStateException("what Corda signs depends on more than the transaction's id");
        }
        Arrays.fill(first, offset, offset + Forms.HASH_BYTES, (byte) 0);
        return Template.newBuilder().setTemplate(ByteString.copyFrom(first)).setTxIdOffset(offset).build();
    }

    static AssembledSignature assemble(AssembleSignature request) throws RejectedTransaction {
        SecureHash txId = Forms.hash(request.getTxId(), "the transaction's id");
        PublicKey key = Forms.key(request.getKey(), "the signature's key");
        SignatureMetadata metadata =
                new SignatureMetadata(request.getPlatformVersion(), request.getSchemeNumberId());
        TransactionSignature signature = new TransactionSignature(request.getSignature().toByteArray(), key, metadata);
        try {
            signature.verify(txId);
        } catch (Exception error) {
            throw RejectedTransaction.because(error, txId);
        }
        return AssembledSignature.newBuilder()
                .setTransactionSignature(ByteString.copyFrom(Corda.serialize(signature)))
                .build();
    }

    private static byte[] filled(byte value) {
        byte[] bytes = new byte[Forms.HASH_BYTES];
        Arrays.fill(bytes, value);
        return bytes;
    }
}
