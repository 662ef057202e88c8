package coco.corda.cordapp;

import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.CryptoUtils;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignableData;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;

/** Every key pair that was made in this JVM, so that what a test lets parties sign is signed for the worker. */
public final class Keys {
    private static final int PLATFORM_VERSION = 12;
    private static final Map<PublicKey, KeyPair> MADE = new ConcurrentHashMap<>();

    private Keys() {}

    /** Called where Corda makes keys. */
    public static void remember(KeyPair pair) {
        MADE.put(pair.getPublic(), pair);
    }

    /**
     * Signatures of all these keys; of a composite one, those of all its leaves.
     *
     * @return null where one of them was not made here
     */
    static List<TransactionSignature> sign(SecureHash txId, Set<PublicKey> keys) {
        List<TransactionSignature> signatures = new ArrayList<>();
        for (PublicKey key : keys.stream().flatMap(each -> CryptoUtils.getKeys(each).stream()).distinct().toList()) {
            KeyPair pair = MADE.get(key);
            if (pair == null) {
                return null;
            }
            int scheme = Crypto.findSignatureScheme(key).getSchemeNumberID();
            try {
                signatures.add(Crypto.doSign(pair, new SignableData(txId, new SignatureMetadata(PLATFORM_VERSION, scheme))));
            } catch (GeneralSecurityException error) {
                throw new IllegalStateException("a key made by Corda cannot sign", error);
            }
        }
        return signatures;
    }
}
