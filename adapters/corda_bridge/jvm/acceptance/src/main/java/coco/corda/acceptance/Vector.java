package coco.corda.acceptance;

import java.util.List;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.contracts.StateRef;
import net.corda.core.transactions.SignedTransaction;

/**
 * A transaction and what the network has to say about it.
 *
 * @param verdict "Verified", or the kind of rejection
 * @param message what the rejection's causes say, in part; empty where any will do
 * @param states what its inputs and references are, each by the vector that made it
 */
record Vector(
        String name,
        SignedTransaction signed,
        byte[] stx,
        List<State> states,
        boolean trusted,
        String verdict,
        String message) {

    /** @param bytes as the network keeps it; elsewhere than in the vectors about tampering, as it was made */
    record State(String madeBy, StateRef ref, byte[] bytes, String parameters) {}

    /** The bytes of an output, as the network would keep them. */
    byte[] output(int index) {
        return signed.getTx().getComponentGroups().stream()
                .filter(group -> group.getGroupIndex() == ComponentGroupEnum.OUTPUTS_GROUP.ordinal())
                .findFirst().orElseThrow().getComponents().get(index).getBytes();
    }

    StateRef ref(int index) {
        return new StateRef(signed.getId(), index);
    }
}
