package coco.corda.acceptance;

import coco.corda.client.Draft;
import coco.corda.client.Member;
import coco.corda.internal.Corda;
import java.security.KeyPair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.contracts.StateRef;
import net.corda.core.crypto.SecureHash;
import net.corda.core.transactions.SignedTransaction;

/** The golden vectors in the order in which a network takes them: what one makes, later ones use by its name. */
final class Vectors {
    static final String VERIFIED = "Verified";
    static final String REJECTED = "TransactionVerificationException.ContractRejection";
    static final String SIGNATURES_MISSING = "SignedTransaction.SignaturesMissingException";

    private final Map<String, Vector> made = new LinkedHashMap<>();

    private Vectors() {}

    static List<Vector> make() throws Exception {
        Vectors vectors = new Vectors();
        new FinanceVectors(vectors).add();
        new PlatformVectors(vectors).add();
        new TokenVectors(vectors).add();
        return List.copyOf(vectors.made.values());
    }

    Vector get(String name) {
        return made.get(name);
    }

    StateRef ref(String name) {
        return ref(name, 0);
    }

    StateRef ref(String name, int index) {
        return made.get(name).ref(index);
    }

    void holds(String name, Draft draft, Member... signers) {
        add(name, signed(name, draft, signers), VERIFIED, "");
    }

    void refused(String name, String verdict, String message, Draft draft, Member... signers) {
        add(name, signed(name, draft, signers), verdict, message);
    }

    /** Adds one whose inputs and references are as their makers left them. */
    void add(String name, SignedTransaction signed, String verdict, String message) {
        List<StateRef> refs = new ArrayList<>(signed.getInputs());
        refs.addAll(signed.getReferences());
        List<Vector.State> states = new ArrayList<>();
        for (StateRef ref : refs) {
            Vector maker = made.values().stream()
                    .filter(each -> each.signed().getId().equals(ref.getTxhash())).findFirst().orElseThrow();
            states.add(new Vector.State(maker.name(), ref, maker.output(ref.getIndex()), parametersOf(maker)));
        }
        put(new Vector(name, signed, Corda.serialize(signed), states, true, verdict, message));
    }

    void put(Vector vector) {
        if (made.put(vector.name(), vector) != null) {
            throw new IllegalArgumentException("two vectors are called " + vector.name());
        }
    }

    /** The same every time, so that the vectors are. */
    static PrivacySalt salt(String name) {
        return new PrivacySalt(SecureHash.sha256(name).getBytes());
    }

    private static SignedTransaction signed(String name, Draft draft, Member... signers) {
        return Draft.sign(draft.build(salt(name)), Arrays.stream(signers).map(Member::keys).toArray(KeyPair[]::new));
    }

    private static String parametersOf(Vector vector) {
        SecureHash hash = vector.signed().getNetworkParametersHash();
        return Consortium.PARAMETERS.keySet().stream()
                .filter(each -> Consortium.hashOf(each).equals(hash)).findFirst().orElseThrow();
    }
}
