package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.wire.OutputState;
import coco.corda.wire.Response;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** R3's published finance and token contracts, which come to the worker only as attachments. */
class ContractsTest extends IntroducedWorker {
    @TestFactory
    Stream<DynamicTest> everyVectorGetsItsVerdict() {
        return vectors.stream().map(vector -> DynamicTest.dynamicTest(vector.name(), () -> {
            Response response = worker.ask(Asking.verify(vector));
            assertEquals(vector.verdict(), Asking.verdict(response), response::toString);
            assertTrue(Asking.messages(response).contains(vector.message()), () -> Asking.messages(response));
        }));
    }

    @Test
    void outputsComeBackAsTheTransactionHasThem() throws Exception {
        Vector split = named("cash-split");
        List<OutputState> outputs = worker.ask(Asking.verify(split)).getVerified().getOutputsList();
        assertEquals(2, outputs.size());
        for (int index = 0; index < outputs.size(); index++) {
            assertArrayEquals(split.output(index), outputs.get(index).getState().toByteArray());
            assertEquals("net.corda.finance.contracts.asset.Cash", outputs.get(index).getContract());
            assertEquals("net.corda.finance.contracts.asset.Cash$State", outputs.get(index).getStateClass());
        }
        assertArrayEquals(Consortium.ALICE.key().getEncoded(), outputs.get(0).getParticipants(0).toByteArray());
        assertArrayEquals(Consortium.BOB.key().getEncoded(), outputs.get(1).getParticipants(0).toByteArray());
    }

    /** Who has one of the keys is meant, and signs alone what shows the state. */
    @Test
    void whoHasAKeyOfACompositeKeyParticipates() throws Exception {
        List<OutputState> outputs = worker.ask(Asking.verify(named("composite-issue-to-both"))).getVerified().getOutputsList();
        assertEquals(
                Set.of(ByteString.copyFrom(Consortium.ALICE.key().getEncoded()),
                        ByteString.copyFrom(Consortium.BOB.key().getEncoded())),
                Set.copyOf(outputs.get(0).getParticipantsList()));
    }

    @Test
    void anEncumbranceIsTold() throws Exception {
        List<OutputState> outputs = worker.ask(Asking.verify(named("encumbered-issue"))).getVerified().getOutputsList();
        assertEquals(1, outputs.get(0).getEncumbrance());
        assertEquals(0, outputs.get(1).getEncumbrance());
        assertTrue(outputs.get(1).hasEncumbrance());
    }
}
