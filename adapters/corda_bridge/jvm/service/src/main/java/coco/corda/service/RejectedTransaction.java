package coco.corda.service;

import coco.corda.wire.Cause;
import coco.corda.wire.Rejected;
import com.google.protobuf.ByteString;
import java.lang.reflect.InvocationTargetException;
import net.corda.core.crypto.SecureHash;

/** A verdict: what the request holds is not valid, for the reason that is the cause. */
final class RejectedTransaction extends Exception {
    private final String kind;
    private final transient SecureHash txId;

    private RejectedTransaction(String kind, Throwable cause, SecureHash txId) {
        super(null, cause, false, false);
        this.kind = kind;
        this.txId = txId;
    }

    /** Corda's own error says what is wrong: its type is the kind. */
    static RejectedTransaction because(Throwable error, SecureHash txId) {
        Throwable cause = error;
        while (cause instanceof InvocationTargetException && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return new RejectedTransaction(kindOf(cause.getClass()), cause, txId);
    }

    /** What a notary says before it looks at contracts. */
    static RejectedTransaction byNotary(String message, SecureHash txId) {
        return new RejectedTransaction("NotaryError.TransactionInvalid", new IllegalArgumentException(message), txId);
    }

    /** The class's name without its package, nested names joined by a dot. */
    static String kindOf(Class<?> type) {
        String name = type.getName();
        return name.substring(name.lastIndexOf('.') + 1).replace('$', '.');
    }

    Rejected toMessage() {
        Rejected.Builder rejected = Rejected.newBuilder().setKind(kind);
        if (txId != null) {
            rejected.setTxId(ByteString.copyFrom(txId.getBytes()));
        }
        Throwable cause = getCause();
        while (cause != null && rejected.getCausesCount() < Limits.CAUSES) {
            rejected.addCauses(Cause.newBuilder().setClassName(cause.getClass().getName()).setMessage(messageOf(cause)));
            cause = cause.getCause();
        }
        return rejected.build();
    }

    /** A contract wrote the exception's class: asking for its message may fail, and the text may be anything. */
    private static String messageOf(Throwable cause) {
        try {
            String message = cause.getMessage();
            if (message == null) {
                return "";
            }
            String shortened = message.substring(0, Math.min(message.length(), Limits.MESSAGE_CHARACTERS));
            // A lone surrogate cannot be sent.
            return new String(shortened.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                    java.nio.charset.StandardCharsets.UTF_8);
        } catch (OutOfMemoryError exhausted) {
            throw exhausted;
        } catch (Throwable unreadable) {
            return "(its message cannot be read: " + unreadable.getClass().getName() + ")";
        }
    }
}
