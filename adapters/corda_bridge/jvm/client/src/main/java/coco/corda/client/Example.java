package coco.corda.client;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.util.Arrays;
import java.util.Currency;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TransactionState;
import net.corda.core.crypto.SecureHash;
import net.corda.core.transactions.SignedTransaction;
import net.corda.finance.contracts.asset.Cash;

/**
 * Money on a running network, by R3's published contracts: issued, moved, read by its owner at another node, redeemed.
 *
 * <p>Run with the address of one node, such as {@code http://127.0.0.1:8545}, and perhaps that of another to read at.
 * Each line it prints begins with what was done; the first thing that does not come true ends it with status 1.
 */
public final class Example {
    private static final int READS = 30;
    private static final int WAIT_SECONDS = 10;

    private final Member bank = Member.generate("Bank of Examples", "London", "GB");
    private final Member alice = Member.generate("Alice", "Paris", "FR");
    private final Member bob = Member.generate("Bob", "New York", "US");
    private final Amount<Issued<Currency>> money = Finance.money(100_00, "USD", bank.reference(1));
    private final Finance finance;
    private final Notary notary;
    private final Notary elsewhere;

    private Example(URI node, URI other) throws Exception {
        HttpClient http = HttpClient.newHttpClient();
        Notary.Terms terms = Notary.terms(node, http);
        byte[] jar = Files.readAllBytes(
                Path.of(Cash.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
        SecureHash contracts = SecureHash.sha256(jar);
        if (!terms.trustedAttachments().contains(contracts)) {
            throw new IOException("the network does not trust the finance contracts' jar, " + contracts);
        }
        finance = new Finance(
                terms.notary(), terms.parameters().get(0), contracts, new HashAttachmentConstraint(contracts));
        notary = new Notary(node, http, terms.notary().getOwningKey());
        elsewhere = new Notary(other, http, terms.notary().getOwningKey());
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 1 || arguments.length > 2) {
            System.err.println("usage: Example NODE [NODE-TO-READ-AT]");
            System.exit(2);
        }
        URI node = folder(arguments[0]);
        new Example(node, arguments.length == 2 ? folder(arguments[1]) : node).run();
    }

    private static URI folder(String address) {
        return URI.create(address.endsWith("/") ? address : address + "/");
    }

    private void run() throws Exception {
        StateRef issued = new StateRef(submit(finance.issueCash(money, alice.party()), bank).getId(), 0);
        say("issued", issued + " to Alice");
        refused(finance.draft().input(issued)
                .output(Finance.cash(twice(money), bob.party()), Finance.CASH, finance.constraint())
                .command(new Cash.Commands.Move(), alice.key()), alice);
        SignedTransaction move = submit(finance.moveCash(issued, money, alice.party(), bob.party()), alice);
        move.verifyRequiredSignatures();
        StateRef moved = new StateRef(move.getId(), 0);
        say("moved", moved + " to Bob, signed by " + finance.notary().getName());
        refused(finance.moveCash(issued, money, alice.party(), alice.party()), alice);
        Cash.State received = (Cash.State) read(moved, bob).getData();
        say("read", moved + " by Bob: " + received.getAmount().getQuantity() + " of the smallest unit of "
                + received.getAmount().getToken().getProduct());
        if (elsewhere.state(moved, alice) != null) {
            throw new IOException("Alice reads what is Bob's");
        }
        SignedTransaction exit = submit(finance.exitCash(moved, received.getAmount(), bob.party()), bob, bank);
        exit.verifyRequiredSignatures();
        say("redeemed", moved + " by " + exit.getId());
    }

    private SignedTransaction submit(Draft draft, Member... signers) throws IOException, InterruptedException {
        KeyPair[] keys = Arrays.stream(signers).map(Member::keys).toArray(KeyPair[]::new);
        return notary.notarise(Draft.sign(draft.build(new PrivacySalt()), keys), signers[0]);
    }

    private void refused(Draft draft, Member signer) throws IOException, InterruptedException {
        try {
            submit(draft, signer);
        } catch (Notary.Refused refused) {
            say("refused", refused.error().get("type").getAsString() + " " + String.join(" / ", refused.causes()));
            return;
        }
        throw new IOException("the network takes what is not valid");
    }

    /** What one node has committed is on its way to the other: it tells when it is there. */
    private TransactionState<?> read(StateRef ref, Member owner) throws IOException, InterruptedException {
        long seqno = 0;
        for (int number = 0; number < READS; number++) {
            TransactionState<?> state = elsewhere.state(ref, owner);
            if (state != null) {
                return state;
            }
            seqno = elsewhere.changes(owner, seqno, WAIT_SECONDS).get("seqno").getAsLong();
        }
        throw new IOException("the other node does not show " + ref);
    }

    private static Amount<Issued<Currency>> twice(Amount<Issued<Currency>> amount) {
        return amount.plus(amount);
    }

    private static void say(String what, String more) {
        System.out.println(what + " " + more);
    }
}
