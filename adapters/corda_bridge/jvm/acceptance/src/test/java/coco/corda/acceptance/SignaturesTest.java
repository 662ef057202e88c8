package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.internal.Corda;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;
import org.junit.jupiter.api.Test;

/** The worker checks Ed25519 with another library first: its verdict is Corda's all the same. */
class SignaturesTest extends IntroducedWorker {
    /** The order of the base point, RFC 8032, 5.1. */
    private static final BigInteger ORDER =
            BigInteger.TWO.pow(252).add(new BigInteger("27742317777372353535851937790883648493"));

    private static final int HALF = 32;

    @Test
    void everyVerdictIsCordas() throws Exception {
        Vector move = named("cash-move-in-first-hour");
        TransactionSignature signature = move.signed().getSigs().get(0);
        Map<String, TransactionSignature> variants = new HashMap<>();
        variants.put("as it is", signature);
        variants.put("S beyond the order", altered(signature, plusOrder(signature.getBytes())));
        variants.put("nothing", altered(signature, new byte[2 * HALF]));
        variants.put("too short", altered(signature, Arrays.copyOf(signature.getBytes(), 2 * HALF - 1)));
        variants.put("too long", altered(signature, Arrays.copyOf(signature.getBytes(), 2 * HALF + 1)));
        for (int bit : new int[] {0, 100, 255, 256, 300, 508, 511}) {
            byte[] bytes = signature.getBytes().clone();
            bytes[bit / 8] ^= (byte) (1 << bit % 8);
            variants.put("bit " + bit, altered(signature, bytes));
        }
        SignatureMetadata signed = signature.getSignatureMetadata();
        variants.put("another platform", new TransactionSignature(signature.getBytes(), signature.getBy(),
                new SignatureMetadata(signed.getPlatformVersion() + 1, signed.getSchemeNumberID()), null));
        List<String> valid = new ArrayList<>();
        for (Map.Entry<String, TransactionSignature> variant : variants.entrySet()) {
            String verdict = Asking.verdict(worker.ask(Asking.verify(with(move, variant.getValue()))));
            boolean isValid = isValid(move.signed().getId(), variant.getValue());
            assertEquals(isValid, verdict.equals("Verified"), variant.getKey() + ": " + verdict);
            if (isValid) {
                valid.add(variant.getKey());
            }
        }
        assertTrue(valid.contains("as it is"));
        // Malleable with Corda's library, so here as well: the signature is no part of a transaction's name.
        assertTrue(valid.size() <= 2, valid.toString());
    }

    private static boolean isValid(SecureHash id, TransactionSignature signature) {
        try {
            return signature.verify(id);
        } catch (Exception refused) {
            return false;
        }
    }

    private static byte[] plusOrder(byte[] signature) {
        byte[] big = new byte[HALF];
        for (int index = 0; index < HALF; index++) {
            big[index] = signature[2 * HALF - 1 - index];
        }
        byte[] sum = new BigInteger(1, big).add(ORDER).toByteArray();
        byte[] bytes = signature.clone();
        for (int index = 0; index < HALF; index++) {
            bytes[HALF + index] = index < sum.length ? sum[sum.length - 1 - index] : 0;
        }
        return bytes;
    }

    private static TransactionSignature altered(TransactionSignature signature, byte[] bytes) {
        return new TransactionSignature(bytes, signature.getBy(), signature.getSignatureMetadata(), null);
    }

    private static Vector with(Vector vector, TransactionSignature signature) {
        SignedTransaction signed = new SignedTransaction(vector.signed().getCoreTransaction(), List.of(signature));
        return new Vector(vector.name(), signed, Corda.serialize(signed), vector.states(), vector.trusted(), "", "");
    }
}
