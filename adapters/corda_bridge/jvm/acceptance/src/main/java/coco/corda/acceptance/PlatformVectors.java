package coco.corda.acceptance;

import static coco.corda.acceptance.Consortium.ALICE;
import static coco.corda.acceptance.Consortium.BANK;
import static coco.corda.acceptance.Consortium.BOB;
import static coco.corda.acceptance.Consortium.NOTARY;
import static coco.corda.acceptance.Consortium.OTHER_NOTARY;

import coco.corda.client.Draft;
import coco.corda.client.Finance;
import coco.corda.client.Member;
import coco.corda.internal.Corda;
import java.security.PublicKey;
import java.util.Arrays;
import java.util.Currency;
import java.util.List;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.Issued;
import net.corda.core.crypto.CompositeKey;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.AnonymousParty;
import net.corda.core.transactions.ContractUpgradeWireTransaction;
import net.corda.core.transactions.CoreTransaction;
import net.corda.core.transactions.NotaryChangeWireTransaction;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.utilities.OpaqueBytes;
import net.corda.finance.contracts.asset.Cash;

/** What Corda itself rules about any state, tried on cash: encumbrances, composite keys, the other kinds of transactions. */
final class PlatformVectors {
    private static final String MISSING_ENCUMBRANCE =
            "TransactionVerificationException.TransactionMissingEncumbranceException";
    private static final Amount<Issued<Currency>> DOLLARS = Finance.money(10_00, "USD", BANK.reference(1));

    private final Vectors vectors;
    private final Finance finance = Consortium.finance();

    PlatformVectors(Vectors vectors) {
        this.vectors = vectors;
    }

    void add() {
        encumbrances();
        compositeKeys();
        otherKinds();
    }

    /** States that are spent together or not at all: since platform version 4 they encumber each other in a circle. */
    private void encumbrances() {
        vectors.holds("encumbered-issue", issueTwo(1, 0), BANK);
        vectors.refused("encumbered-one-way",
                "TransactionVerificationException.TransactionNonMatchingEncumbranceException", "",
                issueTwo(1, null), BANK);
        vectors.refused("encumbered-by-nothing", MISSING_ENCUMBRANCE, "", issueTwo(2, 0), BANK);
        vectors.holds("encumbered-move",
                moveTo(ALICE.key(), BOB.key()).input(vectors.ref("encumbered-issue", 0))
                        .input(vectors.ref("encumbered-issue", 1)).output(
                        Finance.cash(DOLLARS.plus(DOLLARS), BOB.party()), Finance.CASH, finance.constraint()), ALICE, BOB);
        vectors.refused("encumbered-move-of-one", MISSING_ENCUMBRANCE, "",
                moveTo(ALICE.key()).input(vectors.ref("encumbered-issue", 0))
                        .output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, finance.constraint()), ALICE);
    }

    private Draft issueTwo(Integer first, Integer second) {
        return finance.draft()
                .output(Finance.cash(DOLLARS, ALICE.party()), Finance.CASH, finance.constraint(), first)
                .output(Finance.cash(DOLLARS, BOB.party()), Finance.CASH, finance.constraint(), second)
                .command(new Cash.Commands.Issue(), BANK.key());
    }

    private Draft moveTo(PublicKey... signers) {
        return finance.draft().command(new Cash.Commands.Move(), signers);
    }

    private void compositeKeys() {
        AnonymousParty any = composite(1);
        AnonymousParty both = composite(2);
        vectors.holds("composite-issue-to-any", issueTo(any), BANK);
        vectors.holds("composite-issue-to-both", issueTo(both), BANK);
        vectors.holds("composite-move-by-one-of-any", moveFrom("composite-issue-to-any", any), BOB);
        vectors.holds("composite-move-by-both", moveFrom("composite-issue-to-both", both), ALICE, BOB);
        vectors.refused("composite-move-by-one-of-both", Vectors.SIGNATURES_MISSING, "Missing signatures",
                moveFrom("composite-issue-to-both", both), BOB);
    }

    private static AnonymousParty composite(int threshold) {
        return new AnonymousParty(new CompositeKey.Builder().addKeys(ALICE.key(), BOB.key()).build(threshold));
    }

    private Draft issueTo(AnonymousParty owner) {
        return finance.draft().output(Finance.cash(DOLLARS, owner), Finance.CASH, finance.constraint())
                .command(new Cash.Commands.Issue(), BANK.key());
    }

    private Draft moveFrom(String name, AnonymousParty owner) {
        return finance.moveCash(vectors.ref(name), DOLLARS, owner, BOB.party());
    }

    /** Corda's two other kinds, in the order of their components. */
    private void otherKinds() {
        OpaqueBytes inputs = component(List.of(vectors.ref("cash-issue")));
        OpaqueBytes notary = component(NOTARY.party());
        OpaqueBytes parameters = component(Consortium.hashOf("epoch-2"));
        refusedKind("notary-change", "change the notary", new NotaryChangeWireTransaction(
                List.of(inputs, notary, component(OTHER_NOTARY.party()), parameters)), ALICE);
        SecureHash jar = finance.contracts();
        refusedKind("contract-upgrade", "upgrade a contract", new ContractUpgradeWireTransaction(
                List.of(inputs, notary, component(jar), component(Finance.CASH), component(jar), parameters),
                Vectors.salt("contract-upgrade")), ALICE);
    }

    private void refusedKind(String name, String message, CoreTransaction transaction, Member signer) {
        SignedTransaction signed = new SignedTransaction(
                transaction, Arrays.asList(Draft.sign(transaction.getId(), signer.keys())));
        vectors.add(name, signed, "NotaryError.TransactionInvalid", message);
    }

    private static OpaqueBytes component(Object value) {
        return new OpaqueBytes(Corda.serialize(value));
    }
}
