package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import coco.corda.internal.Corda;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** How the worker begins: its arguments, and the JVM that it needs. */
class StartTest {
    @Test
    void wrongArgumentsAreItsUsersFault() throws Exception {
        assertUsersFault("--nonsense");
        assertUsersFault("--loopback", "--inherited");
        // Its standard input is a pipe here, no connected socket.
        assertUsersFault("--inherited");
    }

    private static void assertUsersFault(String... said) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("-jar", Worker.jar().toString()));
        arguments.addAll(List.of(said));
        Process process = Worker.launch(arguments);
        assertNull(Worker.readLine(process));
        assertEquals(2, statusOf(process));
    }

    static List<String> opened() {
        return Corda.OPENED;
    }

    /** Otherwise it would call valid transactions invalid, for want of what its own start left out. */
    @ParameterizedTest
    @MethodSource("opened")
    void itDoesNotStartInAJvmThatKeepsShutWhatCordaLooksInto(String shut) throws Exception {
        List<String> arguments = new ArrayList<>();
        for (String name : Corda.OPENED) {
            if (!name.equals(shut)) {
                arguments.addAll(List.of("--add-opens", "java.base/" + name + "=ALL-UNNAMED"));
            }
        }
        // By its class path, and so without what its manifest opens.
        arguments.addAll(List.of("-cp", Worker.jar().toString(), "coco.corda.service.Main", "--loopback"));
        Process process = Worker.launch(arguments);
        assertNull(Worker.readLine(process));
        assertEquals(4, statusOf(process));
    }

    private static int statusOf(Process process) throws InterruptedException {
        if (!process.waitFor(5, TimeUnit.MINUTES)) {
            process.destroyForcibly();
            throw new IllegalStateException("the worker does not end");
        }
        return process.exitValue();
    }
}
