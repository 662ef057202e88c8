package coco.corda.acceptance;

import static coco.corda.acceptance.Consortium.ALICE;
import static coco.corda.acceptance.Consortium.BANK;
import static coco.corda.acceptance.Consortium.BOB;
import static coco.corda.acceptance.Consortium.NOTARY;
import static coco.corda.acceptance.Consortium.OTHER_NOTARY;
import static coco.corda.acceptance.Consortium.START;

import coco.corda.client.Draft;
import coco.corda.client.Finance;
import coco.corda.client.Member;
import coco.corda.internal.Corda;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Currency;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.contracts.SignatureAttachmentConstraint;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;
import net.corda.core.utilities.NonEmptySet;
import net.corda.finance.contracts.CommercialPaper;
import net.corda.finance.contracts.asset.Cash;
import net.corda.finance.contracts.asset.Obligation;

/** Transactions of R3's published finance contracts: such as hold, and one for each way in which they do not. */
final class FinanceVectors {
    private static final String OBLIGATION = "net.corda.finance.contracts.asset.Obligation";
    private static final String REJECTED = "TransactionVerificationException.ContractRejection";
    private static final Amount<Issued<Currency>> DOLLARS = Finance.money(100_00, "USD", BANK.reference(1));
    private static final TimeWindow FIRST_HOUR = TimeWindow.between(START, START.plus(Duration.ofHours(1)));
    private static final Instant MATURITY = START.plus(Duration.ofDays(30));

    private final Map<String, Vector> vectors = new LinkedHashMap<>();
    private final SecureHash jar;
    private final Finance finance;
    private final Finance bySigner;

    private FinanceVectors() throws Exception {
        byte[] content = Consortium.financeContracts();
        jar = SecureHash.sha256(content);
        finance = new Finance(NOTARY.party(), Consortium.hashOf("epoch-2"), jar, new HashAttachmentConstraint(jar));
        bySigner = new Finance(NOTARY.party(), Consortium.hashOf("epoch-2"), jar,
                new SignatureAttachmentConstraint(Corda.signersOf(content).get(0)));
    }

    static List<Vector> make() throws Exception {
        FinanceVectors made = new FinanceVectors();
        made.cash();
        made.cashRefused();
        made.network();
        made.paper();
        made.obligation();
        return List.copyOf(made.vectors.values());
    }

    private void cash() {
        holds("cash-issue", finance.issueCash(DOLLARS, ALICE.party()), BANK);
        holds("cash-issue-by-signer", bySigner.issueCash(DOLLARS, ALICE.party()), BANK);
        holds("cash-move", finance.moveCash(ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        holds("cash-move-by-signer",
                bySigner.moveCash(ref("cash-issue-by-signer"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        holds("cash-double-spend", finance.moveCash(ref("cash-issue"), DOLLARS, ALICE.party(), ALICE.party()), ALICE);
        holds("cash-split", split(60_00, 40_00), BOB);
        holds("cash-exit", finance.exitCash(ref("cash-split", 0), part(60_00), ALICE.party()), ALICE, BANK);
        holds("cash-move-in-first-hour",
                finance.moveCash(ref("cash-split", 1), part(40_00), BOB.party(), ALICE.party()).timeWindow(FIRST_HOUR), BOB);
        holds("cash-move-beside-reference",
                finance.moveCash(ref("cash-split", 1), part(40_00), BOB.party(), ALICE.party())
                        .reference(ref("cash-move-by-signer")), BOB);
    }

    private void cashRefused() {
        refused("cash-more-than-there-is", REJECTED, "the amounts balance", split(60_00, 40_01), BOB);
        refused("cash-moved-by-another", REJECTED, "the owning keys are a subset of the signing keys",
                finance.draft().input(ref("cash-issue")).output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Move(), BOB.key()), BOB);
        refused("cash-issued-by-another", REJECTED, "output states are issued by a command signer",
                finance.draft().output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Issue(), BOB.key()), BOB);
        refused("cash-without-contract", "TransactionDeserialisationException", "ClassNotFoundException: net.corda.finance.contracts.asset.Cash$Commands$Issue",
                new Draft(NOTARY.party(), Consortium.hashOf("epoch-2")).attachment(SecureHash.sha256(Consortium.data()))
                        .output(Finance.cash(DOLLARS, ALICE.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Issue(), BANK.key()), BANK);
        refused("cash-signed-by-another", "SignedTransaction.SignaturesMissingException", "Missing signatures",
                finance.moveCash(ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), BOB);
        refused("cash-exit-without-issuer", "SignedTransaction.SignaturesMissingException", "Missing signatures",
                finance.exitCash(ref("cash-split", 0), part(60_00), ALICE.party()), ALICE);
        SignedTransaction move = vectors.get("cash-move").signed();
        TransactionSignature of = vectors.get("cash-double-spend").signed().getSigs().get(0);
        add("cash-signature-of-another", new SignedTransaction(move.getTx(), List.of(of)), "SignatureException", "");
    }

    private void network() {
        Finance first = new Finance(NOTARY.party(), Consortium.hashOf("epoch-1"), jar, constraint());
        refused("parameters-older-than-input",
                "TransactionVerificationException.TransactionNetworkParameterOrderingException", "",
                first.moveCash(ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        holds("parameters-older-issue", first.issueCash(DOLLARS, BOB.party()), BANK);
        Finance unknown = new Finance(NOTARY.party(), Consortium.hashOf("unknown"), jar, constraint());
        refused("parameters-unknown", "TransactionResolutionException.UnknownParametersException", "",
                unknown.issueCash(DOLLARS, ALICE.party()), BANK);
        Finance elsewhere = new Finance(OTHER_NOTARY.party(), Consortium.hashOf("epoch-2"), jar, constraint());
        refused("notary-other", "NotaryError.TransactionInvalid", "another notary",
                elsewhere.issueCash(DOLLARS, ALICE.party()), BANK);
        refused("attachment-unknown", "AttachmentResolutionException", "",
                finance.issueCash(DOLLARS, ALICE.party()).attachment(SecureHash.sha256("nobody has it")), BANK);
        Vector issue = vectors.get("cash-issue");
        put(new Vector("attachment-untrusted", issue.signed(), issue.stx(), List.of(), false,
                "TransactionVerificationException.UntrustedAttachmentsException", ""));
        Vector move = vectors.get("cash-move");
        Vector.State kept = move.states().get(0);
        holds("cash-issue-nine", finance.issueCash(Finance.money(900_00, "USD", BANK.reference(1)), ALICE.party()), BANK);
        byte[] rich = vectors.get("cash-issue-nine").output(0);
        put(new Vector("state-tampered", move.signed(), move.stx(),
                List.of(new Vector.State(kept.madeBy(), kept.ref(), rich, kept.parameters())), true,
                REJECTED, "the amounts balance"));
        put(new Vector("state-missing", move.signed(), move.stx(), List.of(), true, "TransactionResolutionException", ""));
    }

    private void paper() {
        Amount<Issued<Currency>> face = Finance.money(1_000_00, "USD", BANK.reference(1));
        holds("paper-issue", finance.issuePaper(BANK.reference(7), face, MATURITY, FIRST_HOUR), BANK);
        holds("paper-move", finance.draft().input(ref("paper-issue"))
                .output(new CommercialPaper.State(BANK.reference(7), ALICE.party(), face, MATURITY),
                        Finance.COMMERCIAL_PAPER, constraint())
                .command(new CommercialPaper.Commands.Move(), BANK.key()), BANK);
        holds("paper-cash", finance.issueCash(face, BANK.party()), BANK);
        TimeWindow matured = TimeWindow.between(MATURITY, MATURITY.plus(Duration.ofHours(1)));
        holds("paper-redeem", redeem().timeWindow(matured), ALICE, BANK);
        refused("paper-redeemed-early", REJECTED, "the paper must have matured", redeem().timeWindow(FIRST_HOUR), ALICE, BANK);
        refused("paper-issued-matured", REJECTED, "maturity date is not in the past",
                finance.issuePaper(BANK.reference(7), face, START.minusSeconds(1), FIRST_HOUR), BANK);
    }

    private Draft redeem() {
        Amount<Issued<Currency>> face = Finance.money(1_000_00, "USD", BANK.reference(1));
        return finance.draft().input(ref("paper-move")).input(ref("paper-cash"))
                .output(Finance.cash(face, ALICE.party()), Finance.CASH, constraint())
                .command(new CommercialPaper.Commands.Redeem(), ALICE.key())
                .command(new Cash.Commands.Move(), BANK.key());
    }

    private void obligation() {
        Obligation.Terms<Currency> terms = new Obligation.Terms<>(
                NonEmptySet.Companion.of(jar), NonEmptySet.Companion.of(DOLLARS.getToken()), MATURITY, Duration.ofDays(1));
        Obligation.State<Currency> owed = new Obligation.State<>(
                Obligation.Lifecycle.NORMAL, BOB.party(), terms, 50_00, ALICE.party());
        holds("obligation-issue", finance.draft().output(owed, OBLIGATION, constraint())
                .command(new Obligation.Commands.Issue(), BOB.key()), BOB);
        Obligation.State<Currency> moved = new Obligation.State<>(
                Obligation.Lifecycle.NORMAL, BOB.party(), terms, 50_00, BANK.party());
        holds("obligation-move", finance.draft().input(ref("obligation-issue")).output(moved, OBLIGATION, constraint())
                .command(new Obligation.Commands.Move(), ALICE.key()), ALICE);
        refused("obligation-moved-by-debtor", REJECTED, "the owning keys are a subset of the signing keys",
                finance.draft().input(ref("obligation-issue")).output(moved, OBLIGATION, constraint())
                        .command(new Obligation.Commands.Move(), BOB.key()), BOB);
    }

    private HashAttachmentConstraint constraint() {
        return new HashAttachmentConstraint(jar);
    }

    private static Amount<Issued<Currency>> part(long quantity) {
        return new Amount<>(quantity, DOLLARS.getToken());
    }

    private Draft split(long first, long second) {
        return finance.draft().input(ref("cash-move"))
                .output(Finance.cash(part(first), ALICE.party()), Finance.CASH, constraint())
                .output(Finance.cash(part(second), BOB.party()), Finance.CASH, constraint())
                .command(new Cash.Commands.Move(), BOB.key());
    }

    private StateRef ref(String name) {
        return ref(name, 0);
    }

    private StateRef ref(String name, int index) {
        return vectors.get(name).ref(index);
    }

    private void holds(String name, Draft draft, Member... signers) {
        add(name, signed(name, draft, signers), "Verified", "");
    }

    private void refused(String name, String verdict, String message, Draft draft, Member... signers) {
        add(name, signed(name, draft, signers), verdict, message);
    }

    private static SignedTransaction signed(String name, Draft draft, Member... signers) {
        WireTransaction transaction = draft.build(salt(name));
        return Draft.sign(transaction, Arrays.stream(signers).map(Member::keys).toArray(java.security.KeyPair[]::new));
    }

    /** The same every time, so that the vectors are. */
    private static PrivacySalt salt(String name) {
        return new PrivacySalt(SecureHash.sha256(name).getBytes());
    }

    private void add(String name, SignedTransaction signed, String verdict, String message) {
        List<StateRef> refs = new ArrayList<>(signed.getInputs());
        refs.addAll(signed.getReferences());
        List<Vector.State> states = new ArrayList<>();
        for (StateRef ref : refs) {
            Vector maker = vectors.values().stream()
                    .filter(each -> each.signed().getId().equals(ref.getTxhash())).findFirst().orElseThrow();
            states.add(new Vector.State(maker.name(), ref, maker.output(ref.getIndex()), parametersOf(maker)));
        }
        put(new Vector(name, signed, Corda.serialize(signed), states, true, verdict, message));
    }

    private void put(Vector vector) {
        vectors.put(vector.name(), vector);
    }

    private static String parametersOf(Vector vector) {
        SecureHash hash = vector.signed().getNetworkParametersHash();
        return Consortium.PARAMETERS.keySet().stream()
                .filter(each -> Consortium.hashOf(each).equals(hash)).findFirst().orElseThrow();
    }
}
