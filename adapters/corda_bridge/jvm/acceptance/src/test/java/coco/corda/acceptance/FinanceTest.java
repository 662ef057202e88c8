package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.wire.OutputState;
import coco.corda.wire.Response;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** R3's published finance contracts, which come to the worker only as an attachment. */
class FinanceTest {
    private static Worker worker;
    private static List<Vector> vectors;

    @BeforeAll
    static void start() throws Exception {
        vectors = FinanceVectors.make();
        worker = Worker.start();
        Asking.introduce(worker);
    }

    @AfterAll
    static void stop() throws Exception {
        worker.close();
    }

    @TestFactory
    Stream<DynamicTest> everyVectorGetsItsVerdict() {
        return vectors.stream().map(vector -> DynamicTest.dynamicTest(vector.name(), () -> {
            Response response = worker.ask(Asking.verify(vector, Asking.FINANCE));
            assertEquals(vector.verdict(), Asking.verdict(response), response::toString);
            assertTrue(Asking.messages(response).contains(vector.message()), () -> Asking.messages(response));
        }));
    }

    @Test
    void outputsComeBackAsTheTransactionHasThem() throws Exception {
        Vector split = named("cash-split");
        List<OutputState> outputs = worker.ask(Asking.verify(split, Asking.FINANCE)).getVerified().getOutputsList();
        assertEquals(2, outputs.size());
        for (int index = 0; index < outputs.size(); index++) {
            assertArrayEquals(split.output(index), outputs.get(index).getState().toByteArray());
            assertEquals("net.corda.finance.contracts.asset.Cash", outputs.get(index).getContract());
            assertEquals("net.corda.finance.contracts.asset.Cash$State", outputs.get(index).getStateClass());
        }
        assertArrayEquals(Consortium.ALICE.key().getEncoded(), outputs.get(0).getParticipants(0).toByteArray());
        assertArrayEquals(Consortium.BOB.key().getEncoded(), outputs.get(1).getParticipants(0).toByteArray());
    }

    static Vector named(String name) {
        return vectors.stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow();
    }
}
