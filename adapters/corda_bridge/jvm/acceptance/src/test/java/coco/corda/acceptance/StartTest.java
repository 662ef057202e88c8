package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.wire.Ping;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How the worker begins and ends: its socket, its arguments, and the JVM that it needs. */
class StartTest {
    @TempDir
    Path folder;

    @Test
    void itListensOnAUnixSocketAndRemovesItAtItsEnd() throws Exception {
        Path path = folder.resolve("worker");
        Process process = Worker.launch(List.of("-jar", Worker.jar().toString(), "--socket", path.toString()));
        assertEquals("ready " + path, Worker.readLine(process));
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
            Request ping = Request.newBuilder().setId(7).setPing(Ping.getDefaultInstance()).build();
            Worker.write(new DataOutputStream(Channels.newOutputStream(channel)), ping);
            Response response = Worker.read(new DataInputStream(Channels.newInputStream(channel)));
            assertEquals(7, response.getId());
            assertEquals("4.10", response.getPong().getCordaVersion());
        }
        process.getOutputStream().close();
        assertEquals(0, statusOf(process));
        assertFalse(Files.exists(path));
    }

    @Test
    void itTakesNoPathThatIsThereAlready() throws Exception {
        Path path = Files.createFile(folder.resolve("taken"));
        Process process = Worker.launch(List.of("-jar", Worker.jar().toString(), "--socket", path.toString()));
        assertNull(Worker.readLine(process));
        assertNotEquals(0, statusOf(process));
        assertTrue(Files.exists(path));
    }

    @Test
    void wrongArgumentsAreItsUsersFault() throws Exception {
        Process process = Worker.launch(List.of("-jar", Worker.jar().toString(), "--nonsense"));
        assertNull(Worker.readLine(process));
        assertEquals(2, statusOf(process));
    }

    /** Otherwise it would call valid transactions invalid, for want of what its own start left out. */
    @ParameterizedTest
    @ValueSource(strings = {"java.io", "java.lang", "java.net", "java.time", "java.util"})
    void itDoesNotStartInAJvmThatKeepsShutWhatCordaLooksInto(String shut) throws Exception {
        List<String> arguments = new ArrayList<>();
        for (String name : List.of("java.io", "java.lang", "java.net", "java.time", "java.util")) {
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
