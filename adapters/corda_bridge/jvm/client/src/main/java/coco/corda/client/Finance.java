package coco.corda.client;

import java.time.Instant;
import java.util.Currency;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.AttachmentConstraint;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.PartyAndReference;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.AbstractParty;
import net.corda.core.identity.Party;
import net.corda.finance.contracts.CommercialPaper;
import net.corda.finance.contracts.asset.Cash;

/**
 * Drafts of transactions of R3's published finance contracts.
 *
 * @param contracts the id (SHA-256) of the jar, an attachment of each transaction
 * @param constraint what jar may verify the states later: this very one, or any its signers sign
 */
public record Finance(Party notary, SecureHash parameters, SecureHash contracts, AttachmentConstraint constraint) {
    public static final String CASH = "net.corda.finance.contracts.asset.Cash";
    public static final String COMMERCIAL_PAPER = "net.corda.finance.contracts.CommercialPaper";

    public Draft draft() {
        return new Draft(notary, parameters).attachment(contracts);
    }

    /** Money that an issuer owes: an amount in the currency's smallest unit, and who gave it out. */
    public static Amount<Issued<Currency>> money(long quantity, String currency, PartyAndReference issuer) {
        return new Amount<>(quantity, new Issued<>(issuer, Currency.getInstance(currency)));
    }

    public static Cash.State cash(Amount<Issued<Currency>> amount, AbstractParty owner) {
        return new Cash.State(amount, owner);
    }

    /** Needs no notary: nothing is spent, and no time is named. */
    public Draft issueCash(Amount<Issued<Currency>> amount, Party owner) {
        return draft()
                .output(cash(amount, owner), CASH, constraint)
                .command(new Cash.Commands.Issue(), amount.getToken().getIssuer().getParty().getOwningKey());
    }

    /** Moves a state whole to a new owner. */
    public Draft moveCash(StateRef input, Amount<Issued<Currency>> amount, AbstractParty from, AbstractParty to) {
        return draft()
                .input(input)
                .output(cash(amount, to), CASH, constraint)
                .command(new Cash.Commands.Move(), from.getOwningKey());
    }

    /** Redeems a state whole: the issuer pays it out, and it leaves the ledger. Both sign. */
    public Draft exitCash(StateRef input, Amount<Issued<Currency>> amount, AbstractParty owner) {
        return draft()
                .input(input)
                .command(new Cash.Commands.Move(), owner.getOwningKey())
                .command(new Cash.Commands.Exit(amount), owner.getOwningKey(),
                        amount.getToken().getIssuer().getParty().getOwningKey());
    }

    /** A promise to pay a face value at maturity; the contract wants the time of issue bounded. */
    public Draft issuePaper(
            PartyAndReference issuer, Amount<Issued<Currency>> faceValue, Instant maturity, TimeWindow issued) {
        CommercialPaper.State paper = new CommercialPaper.State(issuer, issuer.getParty(), faceValue, maturity);
        return draft()
                .output(paper, COMMERCIAL_PAPER, constraint)
                .command(new CommercialPaper.Commands.Issue(), issuer.getParty().getOwningKey())
                .timeWindow(issued);
    }
}
