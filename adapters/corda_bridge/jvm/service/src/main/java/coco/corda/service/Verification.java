package coco.corda.service;

import coco.corda.internal.Corda;
import coco.corda.wire.OutputState;
import coco.corda.wire.ResolvedState;
import coco.corda.wire.Verified;
import coco.corda.wire.Verify;
import com.google.protobuf.ByteString;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import net.corda.core.contracts.Attachment;
import net.corda.core.contracts.AttachmentResolutionException;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.contracts.ContractState;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TransactionResolutionException;
import net.corda.core.contracts.TransactionState;
import net.corda.core.contracts.TransactionVerificationException;
import net.corda.core.crypto.CryptoUtils;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.AbstractParty;
import net.corda.core.node.NetworkParameters;
import net.corda.core.serialization.SerializedBytes;
import net.corda.core.transactions.CoreTransaction;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;

/**
 * All of a node's checks but uniqueness and time, in a node's order: notary, attachments, parameters, signatures, the
 * order of parameters, and then the platform's rules and the contracts.
 */
final class Verification {
    private final Corda corda;
    private final Registry registry;
    /** A network has one, and to find the point of its key costs as much as a signature. */
    private volatile Notary lastNotary;

    Verification(Corda corda, Registry registry) {
        this.corda = corda;
        this.registry = registry;
    }

    Verified verify(SignedTransaction signed, Verify request) throws RejectedTransaction {
        if (request.getSignatures() != Verify.SignaturePolicy.ALL
                && request.getSignatures() != Verify.SignaturePolicy.ALL_EXCEPT_NOTARY) {
            throw FailedRequest.malformed("the request does not say which signatures must be there");
        }
        PublicKey ourNotary = notary(request.getNotaryKey());
        Map<StateRef, ResolvedState> resolved = resolved(request);
        Set<SecureHash> trusted = new HashSet<>();
        request.getTrustedAttachmentsList().forEach(id -> trusted.add(Forms.hash(id, "a trusted attachment's id")));

        WireTransaction wire = checkKind(signed);
        checkNotary(wire, ourNotary);
        Map<SecureHash, Attachment> attachments = checkAttachments(wire, trusted);
        NetworkParameters parameters = checkParameters(wire);
        Signatures.check(signed, wire, request.getSignatures(), ourNotary);
        checkParametersOrder(wire, parameters, resolved);
        return Verified.newBuilder()
                .setTxId(Forms.bytes(wire.getId()))
                .addAllOutputs(runContracts(wire, attachments, parameters, resolved))
                .build();
    }

    private PublicKey notary(ByteString encoded) {
        Notary known = lastNotary;
        if (known == null || !known.encoded().equals(encoded)) {
            lastNotary = known = new Notary(encoded, Forms.key(encoded, "the notary's key"));
        }
        return known.key();
    }

    private static Map<StateRef, ResolvedState> resolved(Verify request) {
        Map<StateRef, ResolvedState> resolved = new HashMap<>();
        for (ResolvedState state : request.getStatesList()) {
            if (resolved.put(Forms.ref(state.getRef()), state) != null) {
                throw FailedRequest.malformed("two states are given for one reference");
            }
        }
        return resolved;
    }

    private static WireTransaction checkKind(SignedTransaction signed) throws RejectedTransaction {
        CoreTransaction core = signed.getCoreTransaction();
        switch (Description.kindOf(core)) {
            case WIRE:
                return (WireTransaction) core;
            case NOTARY_CHANGE:
                throw RejectedTransaction.byNotary("Transactions that change the notary are not supported", core.getId());
            case CONTRACT_UPGRADE:
                throw RejectedTransaction.byNotary("Transactions that upgrade a contract are not supported", core.getId());
            default:
                throw RejectedTransaction.byNotary("This kind of transaction is not supported", core.getId());
        }
    }

    private static void checkNotary(WireTransaction wire, PublicKey ours) throws RejectedTransaction {
        if (wire.getNotary() != null && !wire.getNotary().getOwningKey().equals(ours)) {
            throw RejectedTransaction.byNotary("The transaction names another notary: " + wire.getNotary(), wire.getId());
        }
    }

    /** Corda asks for trust only when it makes a class loader, and keeps that; trust may be taken back, so each time. */
    private Map<SecureHash, Attachment> checkAttachments(WireTransaction wire, Set<SecureHash> trusted)
            throws RejectedTransaction {
        Map<SecureHash, Attachment> attachments = new LinkedHashMap<>();
        List<SecureHash> untrusted = new ArrayList<>();
        for (SecureHash id : wire.getAttachments()) {
            Registry.Registered registered = registry.attachment(id);
            if (registered == null) {
                throw RejectedTransaction.because(new AttachmentResolutionException(id), wire.getId());
            }
            attachments.put(id, registered.attachment());
            if (registered.classes() > 0 && !trusted.contains(id)) {
                untrusted.add(id);
            }
        }
        if (!untrusted.isEmpty()) {
            throw RejectedTransaction.because(
                    new TransactionVerificationException.UntrustedAttachmentsException(wire.getId(), untrusted), wire.getId());
        }
        return attachments;
    }

    private NetworkParameters checkParameters(WireTransaction wire) throws RejectedTransaction {
        SecureHash hash = wire.getNetworkParametersHash();
        if (hash == null) {
            throw RejectedTransaction.byNotary("The transaction names no network parameters", wire.getId());
        }
        NetworkParameters parameters = registry.parameters(hash);
        if (parameters == null) {
            throw RejectedTransaction.because(
                    new TransactionResolutionException.UnknownParametersException(wire.getId(), hash), wire.getId());
        }
        return parameters;
    }

    /** A transaction may not go back to parameters older than those its inputs were made under. */
    private void checkParametersOrder(
            WireTransaction wire, NetworkParameters parameters, Map<StateRef, ResolvedState> resolved)
            throws RejectedTransaction {
        List<StateRef> refs = new ArrayList<>(wire.getInputs());
        refs.addAll(wire.getReferences());
        for (StateRef ref : refs) {
            ResolvedState state = resolved.get(ref);
            if (state == null) {
                throw RejectedTransaction.because(new TransactionResolutionException(ref.getTxhash()), wire.getId());
            }
            if (state.getNetworkParametersHash().isEmpty()) {
                continue;
            }
            SecureHash hash = Forms.hash(state.getNetworkParametersHash(), "a state's network parameters hash");
            NetworkParameters earlier = registry.parameters(hash);
            if (earlier == null) {
                throw RejectedTransaction.because(
                        new TransactionResolutionException.UnknownParametersException(ref.getTxhash(), hash), wire.getId());
            }
            if (parameters.getEpoch() < earlier.getEpoch()) {
                throw RejectedTransaction.because(
                        new TransactionVerificationException.TransactionNetworkParameterOrderingException(
                                wire.getId(), ref, parameters, earlier),
                        wire.getId());
            }
        }
    }

    private List<OutputState> runContracts(
            WireTransaction wire,
            Map<SecureHash, Attachment> attachments,
            NetworkParameters parameters,
            Map<StateRef, ResolvedState> resolved)
            throws RejectedTransaction {
        Map<StateRef, SerializedBytes<TransactionState<ContractState>>> states = new HashMap<>();
        resolved.forEach((ref, state) -> states.put(ref, new SerializedBytes<>(state.getState().toByteArray())));
        try {
            // Trusted: whether each is was checked before.
            List<TransactionState<ContractState>> outputs =
                    corda.verify(wire, attachments, states, parameters, each -> true);
            List<byte[]> bytes = Corda.components(wire, ComponentGroupEnum.OUTPUTS_GROUP);
            List<OutputState> messages = new ArrayList<>();
            for (int index = 0; index < outputs.size(); index++) {
                messages.add(output(bytes.get(index), outputs.get(index)));
            }
            return messages;
        } catch (OutOfMemoryError exhausted) {
            throw exhausted;
        } catch (Throwable error) {
            throw RejectedTransaction.because(error, wire.getId());
        }
    }

    /** Who participates is answered by the state's own code; of a composite key, whoever has one of its keys. */
    private static OutputState output(byte[] bytes, TransactionState<ContractState> state) {
        OutputState.Builder message = OutputState.newBuilder()
                .setState(ByteString.copyFrom(bytes))
                .setContract(state.getContract())
                .setStateClass(state.getData().getClass().getName())
                .setNotary(Forms.message(state.getNotary()));
        for (AbstractParty participant : state.getData().getParticipants()) {
            CryptoUtils.getKeys(participant.getOwningKey()).forEach(key -> message.addParticipants(Forms.bytes(key)));
        }
        if (state.getEncumbrance() != null) {
            message.setEncumbrance(state.getEncumbrance());
        }
        return message.build();
    }

    private record Notary(ByteString encoded, PublicKey key) {}
}
