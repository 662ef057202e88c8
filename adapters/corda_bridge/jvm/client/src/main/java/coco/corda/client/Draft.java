package coco.corda.client;

import coco.corda.internal.Corda;
import java.security.KeyPair;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.List;
import net.corda.core.contracts.AttachmentConstraint;
import net.corda.core.contracts.Command;
import net.corda.core.contracts.CommandData;
import net.corda.core.contracts.ContractState;
import net.corda.core.contracts.PrivacySalt;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.contracts.TransactionState;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignableData;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.identity.Party;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;

/**
 * A transaction in the making: what a node's TransactionBuilder is, for those who have no node.
 *
 * <p>It fills nothing in. Which attachment a contract needs and under which constraint a state stands is said by the
 * caller, and the network answers whether it holds.
 */
public final class Draft {
    static {
        Serialization.start();
    }

    private final Party notary;
    private final SecureHash parameters;
    private final List<StateRef> inputs = new ArrayList<>();
    private final List<StateRef> references = new ArrayList<>();
    private final List<TransactionState<ContractState>> outputs = new ArrayList<>();
    private final List<Command<?>> commands = new ArrayList<>();
    private final List<SecureHash> attachments = new ArrayList<>();
    private TimeWindow timeWindow;

    /** @param parameters the hash of the network parameters under which it is to be valid */
    public Draft(Party notary, SecureHash parameters) {
        this.notary = notary;
        this.parameters = parameters;
    }

    public Draft input(StateRef ref) {
        inputs.add(ref);
        return this;
    }

    public Draft reference(StateRef ref) {
        references.add(ref);
        return this;
    }

    public Draft output(ContractState state, String contract, AttachmentConstraint constraint) {
        return output(state, contract, constraint, null);
    }

    /** @param encumbrance the index of the output that must be spent with this one; null for none */
    public Draft output(ContractState state, String contract, AttachmentConstraint constraint, Integer encumbrance) {
        outputs.add(new TransactionState<>(state, contract, notary, encumbrance, constraint));
        return this;
    }

    public Draft command(CommandData command, PublicKey... signers) {
        commands.add(new Command<>(command, List.of(signers)));
        return this;
    }

    public Draft attachment(SecureHash id) {
        attachments.add(id);
        return this;
    }

    public Draft timeWindow(TimeWindow window) {
        timeWindow = window;
        return this;
    }

    /** @param salt hides the transaction's parts from who knows its id; random but in tests */
    public WireTransaction build(PrivacySalt salt) {
        return new WireTransaction(
                Corda.componentGroups(inputs, outputs, commands, attachments, notary, timeWindow, references, parameters),
                salt);
    }

    public static SignedTransaction sign(WireTransaction transaction, KeyPair... signers) {
        List<TransactionSignature> signatures = new ArrayList<>();
        for (KeyPair signer : signers) {
            signatures.add(sign(transaction.getId(), signer));
        }
        return new SignedTransaction(transaction, signatures);
    }

    public static TransactionSignature sign(SecureHash txId, KeyPair signer) {
        int scheme = Crypto.findSignatureScheme(signer.getPublic()).getSchemeNumberID();
        SignatureMetadata metadata = new SignatureMetadata(Corda.PLATFORM_VERSION, scheme);
        try {
            return Crypto.doSign(signer, new SignableData(txId, metadata));
        } catch (java.security.GeneralSecurityException error) {
            throw new IllegalArgumentException("the key cannot sign", error);
        }
    }
}
