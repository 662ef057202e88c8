package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.wire.Failed;
import coco.corda.wire.InspectAttachment;
import coco.corda.wire.Ping;
import coco.corda.wire.Pong;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;

/** Archives that anybody may bring: what is read of them, and those that are none or are two. */
class AttachmentsTest extends IntroducedWorker {
    @Test
    void whatIsOnlyInspectedTakesNoPlace() throws Exception {
        Pong before = pong();
        for (int number = 0; number < 2 * 1_024; number++) {
            assertEquals(Response.ResultCase.ATTACHMENT, inspect(zip("number", bytes(number))).getResultCase());
        }
        assertEquals(before.getAttachments(), pong().getAttachments());
        assertEquals(1, inspect(Consortium.financeContracts()).getAttachment().getSignersCount());
    }

    /** Signers would be found in the one, classes loaded from the other. */
    @Test
    void anArchiveBehindASignedOneIsRefused() throws Exception {
        byte[] signed = Consortium.financeContracts();
        byte[] other = zip("net/corda/finance/contracts/asset/Cash.class", "another class");
        assertMalformed(concatenated(signed, other));
        assertMalformed(concatenated(other, signed));
        assertMalformed(concatenated(signed, signed, other));
    }

    @Test
    void aDirectoryThatNamesOtherContentIsRefused() throws Exception {
        byte[] first = zip("name", "content of the first");
        byte[] second = zip("name", "content of another ");
        assertMalformed(concatenated(first, second));
    }

    @Test
    void anArchiveThatUnpacksToMuchIsRefusedAndEndsNoWorker() throws Exception {
        assertTooLarge(zip("zeros", new byte[0], 300));
        assertTooLarge(zip("Zeros.class", new byte[0], 9));
        assertEquals("Verified", Asking.verdict(worker.ask(Asking.verify(named("cash-issue")))));
    }

    private static void assertMalformed(byte[] archive) throws IOException {
        Response response = inspect(archive);
        assertEquals(Failed.Code.MALFORMED, response.getFailed().getCode(), response::toString);
        assertEquals(Failed.Code.MALFORMED, Asking.attachment(worker, archive).getFailed().getCode());
    }

    private static void assertTooLarge(byte[] archive) throws IOException {
        Response response = inspect(archive);
        assertEquals(Failed.Code.TOO_LARGE, response.getFailed().getCode(), response::toString);
        assertTrue(response.getFailed().getMessage().contains("bytes"));
    }

    private static Response inspect(byte[] content) throws IOException {
        return worker.ask(Request.newBuilder()
                .setInspectAttachment(InspectAttachment.newBuilder().setContent(ByteString.copyFrom(content))));
    }

    private static Pong pong() throws IOException {
        return worker.ask(Request.newBuilder().setPing(Ping.getDefaultInstance())).getPong();
    }

    private static byte[] bytes(int number) {
        return Integer.toString(number).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] zip(String name, String content) throws IOException {
        return zip(name, content.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] zip(String name, byte[] content) throws IOException {
        return zip(name, content, 0);
    }

    /** @param zeros MiB of zeros behind the content */
    private static byte[] zip(String name, byte[] content, int zeros) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            zip.putNextEntry(new ZipEntry(name));
            zip.write(content);
            for (int number = 0; number < zeros; number++) {
                zip.write(new byte[1 << 20]);
            }
        }
        return bytes.toByteArray();
    }

    private static byte[] concatenated(byte[]... parts) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            bytes.write(part);
        }
        return bytes.toByteArray();
    }
}
