import coco.corda.client.Draft;
import coco.corda.client.Finance;
import coco.corda.client.Member;
import coco.corda.internal.Corda;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Instant;
import java.util.Currency;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import net.corda.core.contracts.Amount;
import net.corda.core.contracts.HashAttachmentConstraint;
import net.corda.core.contracts.Issued;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignableData;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.identity.CordaX500Name;
import net.corda.core.identity.Party;
import net.corda.core.node.NetworkParameters;
import net.corda.core.node.NotaryInfo;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;
import net.corda.finance.contracts.asset.Cash;

/**
 * Writes real transactions, the same in every run, to a file: names and bytes, each behind its length.
 *
 * <p>Its arguments are the file, the notary's name, its key (X.509, hex), how many of each numbered kind, and which kinds: all,
 * moves, or moves and the issuances of what they move (cash).
 */
public final class Samples {
    private static final Member BANK = Member.derived("Bank of Samples", "London", "GB", 11);
    private static final Member ALICE = Member.derived("Alice", "Paris", "FR", 12);
    private static final Member BOB = Member.derived("Bob", "New York", "US", 13);
    private static final TimeWindow THIS_CENTURY =
            TimeWindow.between(Instant.parse("2000-01-01T00:00:00Z"), Instant.parse("2100-01-01T00:00:00Z"));
    private static final TimeWindow LONG_AGO = TimeWindow.untilOnly(Instant.parse("2001-01-01T00:00:00Z"));

    private final DataOutputStream file;
    private final Party notary;
    private final byte[] parameters;
    private final byte[] jar;
    private final Finance finance;

    private Samples(DataOutputStream file, Party notary) throws Exception {
        this.file = file;
        this.notary = notary;
        parameters = parameters(notary, 1);
        jar = Files.readAllBytes(
                Path.of(Cash.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
        SecureHash id = SecureHash.sha256(jar);
        finance = new Finance(notary, SecureHash.sha256(parameters), id, new HashAttachmentConstraint(id));
    }

    public static void main(String[] arguments) throws Exception {
        Corda.start();
        byte[] key = HexFormat.of().parseHex(arguments[2]);
        Party notary = new Party(CordaX500Name.parse(arguments[1]), Crypto.decodePublicKey(key));
        try (DataOutputStream file =
                new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(Path.of(arguments[0]))))) {
            Samples samples = new Samples(file, notary);
            samples.network();
            samples.story();
            for (int number = 0; number < Integer.parseInt(arguments[3]); number++) {
                samples.moved(number, arguments[4]);
            }
        }
    }

    private static byte[] parameters(Party notary, int epoch) {
        return Corda.serialize(new NetworkParameters(4, List.of(new NotaryInfo(notary, true)),
                10_485_760, 52_428_800, Instant.parse("2024-01-01T00:00:00Z"), epoch, Map.of()));
    }

    private void network() throws IOException {
        write("parameters", parameters);
        write("jar", jar);
        SecureHash id = SecureHash.sha256("signable");
        SignatureMetadata how =
                new SignatureMetadata(Corda.PLATFORM_VERSION, Crypto.EDDSA_ED25519_SHA512.getSchemeNumberID());
        write("signable", Corda.serialize(new SignableData(id, how)));
        write("id of signable", id.getBytes());
        write("platform-version", new byte[] {(byte) Corda.PLATFORM_VERSION});
        write("bank-key", BANK.key().getEncoded());
        write("alice-key", ALICE.key().getEncoded());
        write("bob-key", BOB.key().getEncoded());
        write("alice-private", ALICE.keys().getPrivate().getEncoded());
        write("bob-private", BOB.keys().getPrivate().getEncoded());
    }

    /** Money is issued, moved, spent twice, redeemed; and ways to go wrong. */
    private void story() throws Exception {
        Amount<Issued<Currency>> money = Finance.money(100_00, "USD", BANK.reference(1));
        SignedTransaction issue = add("issue", finance.issueCash(money, ALICE.party()), BANK);
        StateRef issued = new StateRef(issue.getId(), 0);
        SignedTransaction move = add("move", finance.moveCash(issued, money, ALICE.party(), BOB.party()), ALICE);
        add("move-again", finance.moveCash(issued, money, ALICE.party(), ALICE.party()), ALICE);
        StateRef moved = new StateRef(move.getId(), 0);
        add("exit", finance.exitCash(moved, money, BOB.party()), BOB, BANK);
        add("unsigned", finance.moveCash(issued, money, ALICE.party(), BOB.party()).timeWindow(THIS_CENTURY), BOB);
        add("too-late", finance.moveCash(issued, money, ALICE.party(), BOB.party()).timeWindow(LONG_AGO), ALICE);
        add("reference", finance.issueCash(money, BOB.party()).reference(issued), BANK);
        Draft stolen = finance.draft().input(issued).output(Finance.cash(money, BOB.party()), Finance.CASH, finance.constraint())
                .command(new Cash.Commands.Move(), BOB.key());
        add("stolen", stolen, BOB);
        Draft doubled = finance.draft().input(issued)
                .output(Finance.cash(money.plus(money), BOB.party()), Finance.CASH, finance.constraint())
                .command(new Cash.Commands.Move(), ALICE.key());
        add("doubled", doubled, ALICE);
        Draft seen = finance.issueCash(money, BOB.party()).reference(issued).command(new Cash.Commands.Issue(), BOB.key());
        add("seen", seen, BANK, BOB);
        add("below-zero", finance.moveCash(new StateRef(issue.getId(), -1), money, ALICE.party(), BOB.party()), ALICE);
        StateRef longer = new StateRef(SecureHash.hashAs(SecureHash.SHA2_384, issue.getId().getBytes()), 0);
        add("of-another-hash", finance.moveCash(longer, money, ALICE.party(), BOB.party()), ALICE);
        Party other = Member.derived("Other Notary", "Bern", "CH", 14).party();
        Finance elsewhere = new Finance(other, finance.parameters(), finance.contracts(), finance.constraint());
        add("other-notary", elsewhere.issueCash(money, ALICE.party()).timeWindow(THIS_CENTURY), BANK);
        byte[] later = parameters(notary, 2);
        write("parameters-later", later);
        Finance unknown = new Finance(notary, SecureHash.sha256(later), finance.contracts(), finance.constraint());
        add("later-parameters", unknown.issueCash(money, ALICE.party()), BANK);
    }

    /** Of each number: one that holds, and one that does not. */
    private void tried(int number) throws Exception {
        Amount<Issued<Currency>> money = Finance.money(1_00 + number, "EUR", BANK.reference(2));
        add("valid-" + number, finance.issueCash(money, ALICE.party()).timeWindow(THIS_CENTURY), BANK);
        Draft by = finance.draft().output(Finance.cash(money, BOB.party()), Finance.CASH, finance.constraint())
                .command(new Cash.Commands.Issue(), BOB.key()).timeWindow(THIS_CENTURY);
        add("rejected-" + number, by, BOB);
    }

    /** Of each number: a state, a transaction that wants it; perhaps the one that makes it, perhaps a second one that wants it. */
    private void moved(int number, String kinds) throws Exception {
        Amount<Issued<Currency>> money = Finance.money(1_00 + number, "EUR", BANK.reference(2));
        WireTransaction made = finance.issueCash(money, ALICE.party()).build(salt("state-" + number));
        StateRef state = new StateRef(made.getId(), 0);
        write("state-" + number, concatenated(made.getId().getBytes(), made.getComponentGroups().get(0).getComponents().get(0).getBytes()));
        add("left-" + number, finance.moveCash(state, money, ALICE.party(), BOB.party()), ALICE);
        if (kinds.equals("cash")) {
            SignedTransaction issued = Draft.sign(made, BANK.keys());
            write("issued-" + number, Corda.serialize(issued));
        }
        if (!kinds.equals("all")) {
            return;
        }
        tried(number);
        add("right-" + number, finance.moveCash(state, money, ALICE.party(), ALICE.party()), ALICE);
    }

    private SignedTransaction add(String name, Draft draft, Member... signers) throws Exception {
        KeyPair[] keys = java.util.Arrays.stream(signers).map(Member::keys).toArray(KeyPair[]::new);
        SignedTransaction signed = Draft.sign(draft.build(salt(name)), keys);
        write(name, Corda.serialize(signed));
        write("id of " + name, signed.getId().getBytes());
        return signed;
    }

    private static PrivacySalt salt(String name) {
        return new PrivacySalt(SecureHash.sha256(name).getBytes());
    }

    private static byte[] concatenated(byte[] first, byte[] second) {
        byte[] both = java.util.Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    private void write(String name, byte[] bytes) throws IOException {
        file.writeUTF(name);
        file.writeInt(bytes.length);
        file.write(bytes);
    }
}
