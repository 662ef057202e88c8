package coco.corda.client;

import java.math.BigInteger;
import java.security.KeyPair;
import java.security.PublicKey;
import net.corda.core.crypto.Crypto;
import net.corda.core.identity.CordaX500Name;
import net.corda.core.identity.Party;
import net.corda.core.utilities.OpaqueBytes;

/** Somebody who owns states and signs: a name and a key pair (Ed25519). */
public record Member(Party party, KeyPair keys) {
    /** A member with a new key. */
    public static Member generate(String organisation, String locality, String country) {
        return of(organisation, locality, country, Crypto.generateKeyPair(Crypto.EDDSA_ED25519_SHA512));
    }

    /** A member whose key follows from a number: for examples and tests, where anybody may know it. */
    public static Member derived(String organisation, String locality, String country, long entropy) {
        return of(organisation, locality, country,
                Crypto.deriveKeyPairFromEntropy(Crypto.EDDSA_ED25519_SHA512, BigInteger.valueOf(entropy)));
    }

    private static Member of(String organisation, String locality, String country, KeyPair keys) {
        return new Member(new Party(new CordaX500Name(organisation, locality, country), keys.getPublic()), keys);
    }

    public PublicKey key() {
        return keys.getPublic();
    }

    /** This member as an issuer, with a reference of its own. */
    public net.corda.core.contracts.PartyAndReference reference(int number) {
        return party.ref(new OpaqueBytes(new byte[] {(byte) number}));
    }
}
