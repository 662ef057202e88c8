package coco.corda.acceptance;

import coco.corda.client.Draft;
import coco.corda.client.Finance;
import coco.corda.internal.Corda;
import java.io.DataOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.crypto.SecureHash;
import net.corda.core.transactions.SignedTransaction;

/**
 * Writes cash to move: `issues` and `moves`, each a stream of 32-bit big-endian lengths and as many bytes of a
 * SignedTransaction. The n-th move spends the n-th issue, so moves may be submitted in any order once issues are.
 */
public final class Workload {
    private Workload() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Files.createDirectories(Path.of(arguments[0]));
        int count = Integer.parseInt(arguments[1]);
        try (DataOutputStream issues = output(folder.resolve("issues"));
                DataOutputStream moves = output(folder.resolve("moves"))) {
            for (int number = 0; number < count; number++) {
                SignedTransaction issue = issue(number);
                write(issues, issue);
                write(moves, move(number, issue));
            }
        }
    }

    private static final Amount<Issued<java.util.Currency>> AMOUNT =
            Finance.money(100_00, "USD", Consortium.BANK.reference(1));

    static Finance finance() {
        return Consortium.finance();
    }

    static SignedTransaction issue(int number) {
        return Draft.sign(finance().issueCash(AMOUNT, Consortium.ALICE.party()).build(salt("issue", number)),
                Consortium.BANK.keys());
    }

    static SignedTransaction move(int number, SignedTransaction issue) {
        return Draft.sign(finance().moveCash(new net.corda.core.contracts.StateRef(issue.getId(), 0), AMOUNT,
                Consortium.ALICE.party(), Consortium.BOB.party()).build(salt("move", number)), Consortium.ALICE.keys());
    }

    private static PrivacySalt salt(String kind, int number) {
        return new PrivacySalt(SecureHash.sha256(kind + " " + number).getBytes());
    }

    private static DataOutputStream output(Path file) throws java.io.IOException {
        return new DataOutputStream(new java.io.BufferedOutputStream(Files.newOutputStream(file)));
    }

    private static void write(DataOutputStream output, SignedTransaction signed) throws java.io.IOException {
        byte[] bytes = Corda.serialize(signed);
        output.writeInt(bytes.length);
        output.write(bytes);
    }
}
