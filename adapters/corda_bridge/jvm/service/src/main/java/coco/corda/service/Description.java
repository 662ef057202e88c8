package coco.corda.service;

import coco.corda.internal.Corda;
import coco.corda.wire.Command;
import coco.corda.wire.Description.Kind;
import coco.corda.wire.Instant;
import coco.corda.wire.RequiredSigner;
import com.google.protobuf.ByteString;
import java.io.NotSerializableException;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.crypto.CryptoUtils;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.identity.Party;
import net.corda.core.transactions.ContractUpgradeWireTransaction;
import net.corda.core.transactions.CoreTransaction;
import net.corda.core.transactions.NotaryChangeWireTransaction;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;

/** Reads what a transaction says of itself; loads no class of it and checks nothing. */
final class Description {
    private Description() {}

    static coco.corda.wire.Description of(SignedTransaction signed) throws RejectedTransaction {
        CoreTransaction core = signed.getCoreTransaction();
        coco.corda.wire.Description.Builder message = coco.corda.wire.Description.newBuilder()
                .setTxId(Forms.bytes(core.getId()))
                .setKind(kindOf(core));
        core.getInputs().forEach(ref -> message.addInputs(Forms.message(ref)));
        core.getReferences().forEach(ref -> message.addReferences(Forms.message(ref)));
        if (core.getNotary() != null) {
            message.setNotary(Forms.message(core.getNotary()));
        }
        if (core.getNetworkParametersHash() != null) {
            message.setNetworkParametersHash(Forms.bytes(core.getNetworkParametersHash()));
        }
        signed.getSigs().forEach(signature -> message.addSignedBy(Forms.bytes(signature.getBy())));
        if (core instanceof WireTransaction wire) {
            addWire(message, wire, signed.getSigs());
        }
        return message.build();
    }

    static Kind kindOf(CoreTransaction core) {
        if (!(core.getId() instanceof SecureHash.SHA256)) {
            return Kind.UNSUPPORTED;
        }
        if (core instanceof WireTransaction) {
            return Kind.WIRE;
        }
        if (core instanceof NotaryChangeWireTransaction) {
            return Kind.NOTARY_CHANGE;
        }
        return core instanceof ContractUpgradeWireTransaction ? Kind.CONTRACT_UPGRADE : Kind.UNSUPPORTED;
    }

    static boolean needsNotary(WireTransaction wire) {
        return wire.getNotary() != null
                && (!wire.getInputs().isEmpty() || !wire.getReferences().isEmpty() || wire.getTimeWindow() != null);
    }

    /** Signers of each command, in order, from the group Corda keeps them in: commands themselves need classes. */
    static List<List<PublicKey>> signersOf(WireTransaction wire) throws RejectedTransaction {
        List<List<PublicKey>> signers = new ArrayList<>();
        try {
            for (byte[] component : Corda.components(wire, ComponentGroupEnum.SIGNERS_GROUP)) {
                List<PublicKey> keys = new ArrayList<>();
                for (Object key : Corda.deserialize(component, List.class)) {
                    keys.add((PublicKey) key);
                }
                signers.add(keys);
            }
            int commands = Corda.components(wire, ComponentGroupEnum.COMMANDS_GROUP).size();
            if (commands != signers.size()) {
                throw new IllegalStateException(
                        "the transaction has " + commands + " commands and signers of " + signers.size());
            }
        } catch (NotSerializableException | RuntimeException error) {
            throw RejectedTransaction.because(error, wire.getId());
        }
        return signers;
    }

    /** Keys that must sign, the notary's included where it must. */
    static Set<PublicKey> requiredSigners(WireTransaction wire) throws RejectedTransaction {
        Set<PublicKey> required = new LinkedHashSet<>();
        signersOf(wire).forEach(required::addAll);
        if (needsNotary(wire)) {
            required.add(wire.getNotary().getOwningKey());
        }
        return required;
    }

    private static void addWire(
            coco.corda.wire.Description.Builder message, WireTransaction wire, List<TransactionSignature> signatures)
            throws RejectedTransaction {
        message.setNotaryRequired(needsNotary(wire));
        if (wire.getTimeWindow() != null) {
            message.setTimeWindow(timeWindow(wire.getTimeWindow()));
        }
        wire.getAttachments().forEach(id -> message.addAttachments(Forms.bytes(id)));
        List<byte[]> outputs = Corda.components(wire, ComponentGroupEnum.OUTPUTS_GROUP);
        message.setOutputCount(outputs.size());
        outputs.forEach(output -> message.addOutputHashes(Forms.bytes(SecureHash.sha256(output))));
        Set<PublicKey> present = CryptoUtils.byKeys(signatures);
        Party notary = wire.getNotary();
        for (PublicKey key : requiredSigners(wire)) {
            message.addRequiredSigners(RequiredSigner.newBuilder()
                    .setKey(Forms.bytes(key))
                    .setSigned(CryptoUtils.isFulfilledBy(key, present))
                    .setNotary(needsNotary(wire) && key.equals(notary.getOwningKey())));
        }
        List<byte[]> commands = Corda.components(wire, ComponentGroupEnum.COMMANDS_GROUP);
        List<List<PublicKey>> signers = signersOf(wire);
        for (int index = 0; index < commands.size(); index++) {
            message.addCommands(Command.newBuilder()
                    .setClassName(typeOf(commands.get(index), wire))
                    .addAllSigners(signers.get(index).stream().<ByteString>map(Forms::bytes).toList()));
        }
    }

    private static String typeOf(byte[] component, WireTransaction wire) throws RejectedTransaction {
        try {
            return Corda.typeOf(component);
        } catch (NotSerializableException | RuntimeException error) {
            throw RejectedTransaction.because(error, wire.getId());
        }
    }

    private static coco.corda.wire.TimeWindow timeWindow(TimeWindow window) {
        coco.corda.wire.TimeWindow.Builder message = coco.corda.wire.TimeWindow.newBuilder();
        if (window.getFromTime() != null) {
            message.setFrom(instant(window.getFromTime()));
        }
        if (window.getUntilTime() != null) {
            message.setUntil(instant(window.getUntilTime()));
        }
        return message.build();
    }

    private static Instant instant(java.time.Instant time) {
        return Instant.newBuilder().setSeconds(time.getEpochSecond()).setNanos(time.getNano()).build();
    }
}
