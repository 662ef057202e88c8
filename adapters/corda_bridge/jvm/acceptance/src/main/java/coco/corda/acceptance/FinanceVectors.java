package coco.corda.acceptance;

import static coco.corda.acceptance.Consortium.ALICE;
import static coco.corda.acceptance.Consortium.BANK;
import static coco.corda.acceptance.Consortium.BOB;
import static coco.corda.acceptance.Consortium.NOTARY;
import static coco.corda.acceptance.Consortium.OTHER_NOTARY;
import static coco.corda.acceptance.Consortium.START;

import coco.corda.client.Draft;
import coco.corda.client.Finance;
import coco.corda.internal.Corda;
import java.time.Duration;
import java.time.Instant;
import java.util.Currency;
import java.util.List;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.SignatureAttachmentConstraint;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.utilities.NonEmptySet;
import net.corda.finance.contracts.CommercialPaper;
import net.corda.finance.contracts.JavaCommercialPaper;
import net.corda.finance.contracts.asset.Cash;
import net.corda.finance.contracts.asset.Obligation;

/** Transactions of R3's published finance contracts: such as hold, and one for each way in which they do not. */
final class FinanceVectors {
    private static final String JAVA_PAPER = "net.corda.finance.contracts.JavaCommercialPaper";
    private static final String OBLIGATION = "net.corda.finance.contracts.asset.Obligation";
    private static final Amount<Issued<Currency>> DOLLARS = Finance.money(100_00, "USD", BANK.reference(1));
    private static final TimeWindow FIRST_HOUR = TimeWindow.between(START, START.plus(Duration.ofHours(1)));
    private static final Instant MATURITY = START.plus(Duration.ofDays(30));
    private static final TimeWindow MATURED = TimeWindow.between(MATURITY, MATURITY.plus(Duration.ofHours(1)));

    private final Vectors vectors;
    private final SecureHash jar = Asking.FINANCE;
    private final Finance finance;
    private final Finance bySigner;

    FinanceVectors(Vectors vectors) throws Exception {
        this.vectors = vectors;
        finance = Consortium.finance();
        bySigner = new Finance(NOTARY.party(), finance.parameters(), jar,
                new SignatureAttachmentConstraint(Corda.signersOf(Consortium.financeContracts()).get(0)));
    }

    void add() {
        cash();
        cashRefused();
        network();
        paper();
        javaPaper();
        obligation();
    }

    private void cash() {
        vectors.holds("cash-issue", finance.issueCash(DOLLARS, ALICE.party()), BANK);
        vectors.holds("cash-issue-by-signer", bySigner.issueCash(DOLLARS, ALICE.party()), BANK);
        vectors.holds("cash-move", finance.moveCash(vectors.ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        vectors.holds("cash-move-by-signer",
                bySigner.moveCash(vectors.ref("cash-issue-by-signer"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        vectors.holds("cash-double-spend", finance.moveCash(vectors.ref("cash-issue"), DOLLARS, ALICE.party(), ALICE.party()), ALICE);
        vectors.holds("cash-split", split(60_00, 40_00), BOB);
        vectors.holds("cash-exit", finance.exitCash(vectors.ref("cash-split", 0), part(60_00), ALICE.party()), ALICE, BANK);
        vectors.holds("cash-move-in-first-hour",
                finance.moveCash(vectors.ref("cash-split", 1), part(40_00), BOB.party(), ALICE.party()).timeWindow(FIRST_HOUR), BOB);
        vectors.holds("cash-move-beside-reference",
                finance.moveCash(vectors.ref("cash-split", 1), part(40_00), BOB.party(), ALICE.party())
                        .reference(vectors.ref("cash-move-by-signer")), BOB);
    }

    private void cashRefused() {
        vectors.refused("cash-more-than-there-is", Vectors.REJECTED, "the amounts balance", split(60_00, 40_01), BOB);
        vectors.refused("cash-moved-by-another", Vectors.REJECTED, "the owning keys are a subset of the signing keys",
                finance.draft().input(vectors.ref("cash-issue")).output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Move(), BOB.key()), BOB);
        vectors.refused("cash-issued-by-another", Vectors.REJECTED, "output states are issued by a command signer",
                finance.draft().output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Issue(), BOB.key()), BOB);
        vectors.refused("cash-without-contract", "TransactionDeserialisationException", "ClassNotFoundException: net.corda.finance.contracts.asset.Cash$Commands$Issue",
                new Draft(NOTARY.party(), Consortium.hashOf("epoch-2")).attachment(SecureHash.sha256(Consortium.data()))
                        .output(Finance.cash(DOLLARS, ALICE.party()), Finance.CASH, constraint())
                        .command(new Cash.Commands.Issue(), BANK.key()), BANK);
        vectors.refused("cash-signed-by-another", Vectors.SIGNATURES_MISSING, "Missing signatures",
                finance.moveCash(vectors.ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), BOB);
        vectors.refused("cash-exit-without-issuer", Vectors.SIGNATURES_MISSING, "Missing signatures",
                finance.exitCash(vectors.ref("cash-split", 0), part(60_00), ALICE.party()), ALICE);
        SignedTransaction move = vectors.get("cash-move").signed();
        TransactionSignature of = vectors.get("cash-double-spend").signed().getSigs().get(0);
        vectors.add("cash-signature-of-another", new SignedTransaction(move.getTx(), List.of(of)), "SignatureException", "");
    }

    private void network() {
        Finance first = new Finance(NOTARY.party(), Consortium.hashOf("epoch-1"), jar, constraint());
        vectors.refused("parameters-older-than-input",
                "TransactionVerificationException.TransactionNetworkParameterOrderingException", "",
                first.moveCash(vectors.ref("cash-issue"), DOLLARS, ALICE.party(), BOB.party()), ALICE);
        vectors.holds("parameters-older-issue", first.issueCash(DOLLARS, BOB.party()), BANK);
        Finance unknown = new Finance(NOTARY.party(), Consortium.hashOf("unknown"), jar, constraint());
        vectors.refused("parameters-unknown", "TransactionResolutionException.UnknownParametersException", "",
                unknown.issueCash(DOLLARS, ALICE.party()), BANK);
        Finance elsewhere = new Finance(OTHER_NOTARY.party(), Consortium.hashOf("epoch-2"), jar, constraint());
        vectors.refused("notary-other", "NotaryError.TransactionInvalid", "another notary",
                elsewhere.issueCash(DOLLARS, ALICE.party()), BANK);
        vectors.refused("attachment-unknown", "AttachmentResolutionException", "",
                finance.issueCash(DOLLARS, ALICE.party()).attachment(SecureHash.sha256("nobody has it")), BANK);
        Vector issue = vectors.get("cash-issue");
        vectors.put(new Vector("attachment-untrusted", issue.signed(), issue.stx(), List.of(), false,
                "TransactionVerificationException.UntrustedAttachmentsException", ""));
        Vector move = vectors.get("cash-move");
        Vector.State kept = move.states().get(0);
        vectors.holds("cash-issue-nine", finance.issueCash(Finance.money(900_00, "USD", BANK.reference(1)), ALICE.party()), BANK);
        byte[] rich = vectors.get("cash-issue-nine").output(0);
        vectors.put(new Vector("state-tampered", move.signed(), move.stx(),
                List.of(new Vector.State(kept.madeBy(), kept.ref(), rich, kept.parameters())), true,
                Vectors.REJECTED, "the amounts balance"));
        vectors.put(new Vector("state-missing", move.signed(), move.stx(), List.of(), true, "TransactionResolutionException", ""));
    }

    private void paper() {
        Amount<Issued<Currency>> face = Finance.money(1_000_00, "USD", BANK.reference(1));
        vectors.holds("paper-issue", finance.issuePaper(BANK.reference(7), face, MATURITY, FIRST_HOUR), BANK);
        vectors.holds("paper-move", finance.draft().input(vectors.ref("paper-issue"))
                .output(new CommercialPaper.State(BANK.reference(7), ALICE.party(), face, MATURITY),
                        Finance.COMMERCIAL_PAPER, constraint())
                .command(new CommercialPaper.Commands.Move(), BANK.key()), BANK);
        vectors.holds("paper-cash", finance.issueCash(face, BANK.party()), BANK);
        vectors.holds("paper-redeem", redeem().timeWindow(MATURED), ALICE, BANK);
        vectors.refused("paper-redeemed-early", Vectors.REJECTED, "the paper must have matured", redeem().timeWindow(FIRST_HOUR), ALICE, BANK);
        vectors.refused("paper-issued-matured", Vectors.REJECTED, "maturity date is not in the past",
                finance.issuePaper(BANK.reference(7), face, START.minusSeconds(1), FIRST_HOUR), BANK);
    }

    private Draft redeem() {
        Amount<Issued<Currency>> face = Finance.money(1_000_00, "USD", BANK.reference(1));
        return finance.draft().input(vectors.ref("paper-move")).input(vectors.ref("paper-cash"))
                .output(Finance.cash(face, ALICE.party()), Finance.CASH, constraint())
                .command(new CommercialPaper.Commands.Redeem(), ALICE.key())
                .command(new Cash.Commands.Move(), BANK.key());
    }

    /** The same paper by the contract that R3 wrote in Java. */
    private void javaPaper() {
        Amount<Issued<Currency>> face = Finance.money(1_000_00, "USD", BANK.reference(1));
        JavaCommercialPaper.State issued = new JavaCommercialPaper.State(BANK.reference(8), BANK.party(), face, MATURITY);
        JavaCommercialPaper.State moved = new JavaCommercialPaper.State(BANK.reference(8), ALICE.party(), face, MATURITY);
        vectors.holds("java-paper-issue", finance.draft().output(issued, JAVA_PAPER, constraint())
                .command(new JavaCommercialPaper.Commands.Issue(), BANK.key()).timeWindow(FIRST_HOUR), BANK);
        vectors.holds("java-paper-move", finance.draft().input(vectors.ref("java-paper-issue"))
                .output(moved, JAVA_PAPER, constraint())
                .command(new JavaCommercialPaper.Commands.Move(), BANK.key()), BANK);
        vectors.holds("java-paper-redeem", redeemJava(face).timeWindow(MATURED), ALICE, BANK);
        vectors.refused("java-paper-redeemed-early", Vectors.REJECTED, "must have matured",
                redeemJava(face).timeWindow(FIRST_HOUR), ALICE, BANK);
        vectors.refused("java-paper-moved-by-another", Vectors.REJECTED, "signed by the owner",
                finance.draft().input(vectors.ref("java-paper-move"))
                        .output(issued, JAVA_PAPER, constraint())
                        .command(new JavaCommercialPaper.Commands.Move(), BANK.key()), BANK);
    }

    private Draft redeemJava(Amount<Issued<Currency>> face) {
        return finance.draft().input(vectors.ref("java-paper-move")).input(vectors.ref("paper-cash"))
                .output(Finance.cash(face, ALICE.party()), Finance.CASH, constraint())
                .command(new JavaCommercialPaper.Commands.Redeem(), ALICE.key())
                .command(new Cash.Commands.Move(), BANK.key());
    }

    private void obligation() {
        Obligation.Terms<Currency> terms = new Obligation.Terms<>(
                NonEmptySet.Companion.of(jar), NonEmptySet.Companion.of(DOLLARS.getToken()), MATURITY, Duration.ofDays(1));
        Obligation.State<Currency> owed = new Obligation.State<>(
                Obligation.Lifecycle.NORMAL, BOB.party(), terms, 50_00, ALICE.party());
        vectors.holds("obligation-issue", finance.draft().output(owed, OBLIGATION, constraint())
                .command(new Obligation.Commands.Issue(), BOB.key()), BOB);
        Obligation.State<Currency> moved = new Obligation.State<>(
                Obligation.Lifecycle.NORMAL, BOB.party(), terms, 50_00, BANK.party());
        vectors.holds("obligation-move", finance.draft().input(vectors.ref("obligation-issue")).output(moved, OBLIGATION, constraint())
                .command(new Obligation.Commands.Move(), ALICE.key()), ALICE);
        vectors.refused("obligation-moved-by-debtor", Vectors.REJECTED, "the owning keys are a subset of the signing keys",
                finance.draft().input(vectors.ref("obligation-issue")).output(moved, OBLIGATION, constraint())
                        .command(new Obligation.Commands.Move(), BOB.key()), BOB);
    }

    private HashAttachmentConstraint constraint() {
        return new HashAttachmentConstraint(jar);
    }

    private static Amount<Issued<Currency>> part(long quantity) {
        return new Amount<>(quantity, DOLLARS.getToken());
    }

    private Draft split(long first, long second) {
        return finance.draft().input(vectors.ref("cash-move"))
                .output(Finance.cash(part(first), ALICE.party()), Finance.CASH, constraint())
                .output(Finance.cash(part(second), BOB.party()), Finance.CASH, constraint())
                .command(new Cash.Commands.Move(), BOB.key());
    }
}
