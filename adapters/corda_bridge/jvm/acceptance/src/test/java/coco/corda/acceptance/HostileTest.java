package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.wire.Response;
import java.io.EOFException;
import java.nio.file.Path;
import net.corda.core.crypto.SecureHash;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Contract code that means ill: what the worker alone makes of it. Confining and replacing it is its adapter's part. */
class HostileTest {
    private static HostileCorDapp hostile;
    private static SecureHash id;

    @BeforeAll
    static void compile() throws Exception {
        hostile = new HostileCorDapp(Path.of("src", "hostile", "java"));
        id = SecureHash.sha256(hostile.jar());
    }

    @Test
    void whatItCanSurviveIsAVerdict() throws Exception {
        try (Worker worker = start()) {
            assertEquals("Verified", Asking.verdict(ask(worker, "nothing")));
            assertEquals("StackOverflowError", Asking.verdict(ask(worker, "overflow")));
            assertEquals("Verified", Asking.verdict(ask(worker, "print")));
            // Corda asks for the message itself when it wraps the exception, and gets another one.
            assertEquals("IllegalStateException", Asking.verdict(ask(worker, "lie")));
            assertEquals("Verified", Asking.verdict(ask(worker, "nothing")));
        }
    }

    @Test
    void itFindsAnEmptyEnvironment() throws Exception {
        try (Worker worker = start()) {
            assertTrue(Asking.messages(ask(worker, "environment")).contains("environment: []"));
        }
    }

    @Test
    void haltingEndsTheWorker() throws Exception {
        try (Worker worker = start()) {
            assertThrows(EOFException.class, () -> ask(worker, "halt"));
            assertEquals(9, worker.waitForEnd());
        }
    }

    @Test
    void anExhaustedHeapEndsTheWorkerForItsOtherVerdictsAreWorthNothing() throws Exception {
        try (Worker worker = start()) {
            assertThrows(EOFException.class, () -> ask(worker, "exhaust"));
            assertEquals(3, worker.waitForEnd());
        }
    }

    @Test
    void aLoopDoesNotKeepTheWorkerFromEndingWithItsAdapter() throws Exception {
        try (Worker worker = start()) {
            Thread waiting = new Thread(() -> assertThrows(java.io.IOException.class, () -> ask(worker, "loop")));
            waiting.start();
            worker.closeInput();
            assertEquals(0, worker.waitForEnd());
            waiting.join();
        }
    }

    private static Worker start() throws Exception {
        Worker worker = Worker.start();
        Asking.parameters(worker, Consortium.PARAMETERS.get("epoch-2"));
        Asking.attachment(worker, hostile.jar());
        return worker;
    }

    private static Response ask(Worker worker, String deed) throws java.io.IOException {
        return worker.ask(Asking.verify(hostile.deed(deed), id));
    }
}
