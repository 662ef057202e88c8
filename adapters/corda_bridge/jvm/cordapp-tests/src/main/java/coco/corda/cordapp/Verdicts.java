package coco.corda.cordapp;

import coco.corda.acceptance.Worker;
import coco.corda.wire.Cause;
import coco.corda.wire.RegisterAttachment;
import coco.corda.wire.RegisterNetworkParameters;
import coco.corda.wire.Request;
import coco.corda.wire.ResolvedState;
import coco.corda.wire.Response;
import coco.corda.wire.StateRef;
import coco.corda.wire.Verify;
import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import net.corda.core.contracts.Attachment;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.internal.AbstractAttachmentKt;
import net.corda.core.internal.SerializedStateAndRef;
import net.corda.core.serialization.SerializationAPIKt;
import net.corda.core.serialization.SerializationFactory;
import net.corda.core.transactions.ComponentGroup;
import net.corda.core.transactions.LedgerTransaction;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.TransactionBuilder;
import net.corda.core.transactions.WireTransaction;

/** Two verdicts on every transaction that a test has verified: Corda's own in this JVM, and the worker's. */
public final class Verdicts {
    /** What a test sees where they differ. Not an exception: a test that expects a refusal would take it for one. */
    public static final class Different extends Error {
        private static final long serialVersionUID = 1L;

        Different(String message, Throwable own) {
            super(message, own);
        }
    }

    private record Parts(List<ComponentGroup> groups, List<SerializedStateAndRef> states) {}

    private static final Set<SecureHash> REGISTERED = new HashSet<>();
    private static final Tally TALLY = new Tally();
    private static Worker worker;

    private Verdicts() {}

    static Tally tally() {
        return TALLY;
    }

    /** Called in place of {@link LedgerTransaction#verify}; raises what Corda raises. */
    public static void verify(LedgerTransaction transaction) {
        Throwable own = ownVerdict(transaction);
        if (!isOnlyTried()) {
            compare(transaction, own);
        }
        if (own != null) {
            throw Verdicts.<RuntimeException>asItIs(own);
        }
    }

    private static Throwable ownVerdict(LedgerTransaction transaction) {
        try {
            transaction.internalPrepareVerify$core(transaction.getAttachments()).verify();
            return null;
        } catch (Throwable refusal) {
            return refusal;
        }
    }

    /** Corda's builder verifies what it made to find out what is missing, and takes no refusal from it. */
    private static boolean isOnlyTried() {
        return StackWalker.getInstance().walk(
                frames -> frames.anyMatch(frame -> frame.getClassName().equals(TransactionBuilder.class.getName())));
    }

    private static synchronized void compare(LedgerTransaction transaction, Throwable own) {
        Parts parts = transaction.transform((groups, inputs, references) -> {
            List<SerializedStateAndRef> states = new ArrayList<>(inputs);
            states.addAll(references);
            return new Parts(List.copyOf(groups), states);
        });
        if (parts.groups().isEmpty()) {
            TALLY.notAsked("it was never a transaction on the wire");
            return;
        }
        WireTransaction wire =
                new WireTransaction(parts.groups(), transaction.getPrivacySalt(), transaction.getDigestService());
        List<TransactionSignature> signatures = Keys.sign(wire.getId(), requiredKeys(transaction));
        if (signatures == null) {
            TALLY.notAsked("a key that has to sign was not made by Corda");
            return;
        }
        Response response;
        try {
            response = ask(transaction, parts.states(), new SignedTransaction(wire, withOne(wire, signatures)));
        } catch (IOException error) {
            throw new IllegalStateException("the worker did not answer", error);
        }
        String verdict = verdict(response);
        if (!verdict.equals(verdict(own))) {
            TALLY.different();
            throw new Different("Corda's own verdict: " + verdict(own) + "\nThe worker's: " + verdict, own);
        }
        TALLY.same(own == null);
    }

    private static Set<PublicKey> requiredKeys(LedgerTransaction transaction) {
        Set<PublicKey> keys = new LinkedHashSet<>();
        transaction.getCommands().forEach(command -> keys.addAll(command.getSigners()));
        return keys;
    }

    /** A signed transaction has a signature; one without commands gets that of a key made for it. */
    private static List<TransactionSignature> withOne(WireTransaction wire, List<TransactionSignature> signatures) {
        return signatures.isEmpty()
                ? Keys.sign(wire.getId(), Set.of(net.corda.core.crypto.Crypto.generateKeyPair().getPublic()))
                : signatures;
    }

    private static Response ask(LedgerTransaction transaction, List<SerializedStateAndRef> states, SignedTransaction signed)
            throws IOException {
        if (worker == null) {
            worker = Worker.start();
            Runtime.getRuntime().addShutdownHook(new Thread(Verdicts::end));
        }
        byte[] parameters = serialized(transaction.getNetworkParameters());
        if (REGISTERED.add(SecureHash.sha256(parameters))) {
            worker.ask(Request.newBuilder().setRegisterNetworkParameters(
                    RegisterNetworkParameters.newBuilder().setParameters(ByteString.copyFrom(parameters))));
        }
        Verify.Builder verify = Verify.newBuilder()
                .setStx(ByteString.copyFrom(serialized(signed)))
                .setSignatures(Verify.SignaturePolicy.ALL_EXCEPT_NOTARY)
                .setNotaryKey(ByteString.copyFrom(notaryKey(transaction).getEncoded()));
        for (Attachment attachment : transaction.getAttachments()) {
            register(attachment);
            if (isTrusted(attachment)) {
                verify.addTrustedAttachments(ByteString.copyFrom(attachment.getId().getBytes()));
            }
        }
        for (SerializedStateAndRef state : states) {
            verify.addStates(ResolvedState.newBuilder()
                    .setRef(StateRef.newBuilder()
                            .setTxId(ByteString.copyFrom(state.getRef().getTxhash().getBytes()))
                            .setIndex(state.getRef().getIndex()))
                    .setState(ByteString.copyFrom(state.getSerializedState().getBytes())));
        }
        return worker.ask(Request.newBuilder().setVerify(verify));
    }

    private static PublicKey notaryKey(LedgerTransaction transaction) {
        return transaction.getNotary() != null
                ? transaction.getNotary().getOwningKey()
                : net.corda.core.crypto.Crypto.generateKeyPair().getPublic();
    }

    private static void register(Attachment attachment) throws IOException {
        if (REGISTERED.add(attachment.getId())) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            attachment.open().transferTo(content);
            worker.ask(Request.newBuilder().setRegisterAttachment(
                    RegisterAttachment.newBuilder().setContent(ByteString.copyFrom(content.toByteArray()))));
        }
    }

    /** As a network would agree: what the test's own services hold a CorDapp. */
    private static boolean isTrusted(Attachment attachment) {
        return AbstractAttachmentKt.isUploaderTrusted(attachment);
    }

    private static byte[] serialized(Object value) {
        SerializationFactory factory = SerializationFactory.Companion.getDefaultFactory();
        return SerializationAPIKt.serialize(value, factory, factory.getDefaultContext()).getBytes();
    }

    /** All that is said of a refusal: each error's class and its words, outermost first. */
    private static String verdict(Throwable refusal) {
        StringBuilder text = new StringBuilder(refusal == null ? "valid" : "refused");
        for (Throwable cause = refusal; cause != null; cause = cause.getCause()) {
            text.append("\n  ").append(cause.getClass().getName()).append(": ")
                    .append(cause.getMessage() == null ? "" : cause.getMessage());
        }
        return text.toString();
    }

    private static String verdict(Response response) {
        return switch (response.getResultCase()) {
            case VERIFIED -> "valid";
            case REJECTED -> {
                StringBuilder text = new StringBuilder("refused");
                for (Cause cause : response.getRejected().getCausesList()) {
                    text.append("\n  ").append(cause.getClassName()).append(": ").append(cause.getMessage());
                }
                yield text.toString();
            }
            default -> response.toString();
        };
    }

    private static void end() {
        try {
            worker.close();
        } catch (IOException ending) {
            // It ends with this process.
        }
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> T asItIs(Throwable error) throws T {
        throw (T) error;
    }
}
