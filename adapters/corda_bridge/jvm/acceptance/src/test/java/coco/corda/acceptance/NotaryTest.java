package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.client.Draft;
import coco.corda.client.Notary;
import coco.corda.internal.Corda;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.util.Base64;
import java.util.List;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the client's library believes of a node: nothing but the notary's signature. */
class NotaryTest {
    private List<Vector> vectors;
    private HttpServer node;
    private String answer;
    private Notary notary;

    @BeforeEach
    void start() throws Exception {
        vectors = Vectors.make();
        node = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        node.createContext("/transactions", exchange -> {
            byte[] body = answer.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        node.start();
        URI base = URI.create("http://127.0.0.1:" + node.getAddress().getPort() + "/");
        notary = new Notary(base, HttpClient.newHttpClient(), Consortium.NOTARY.key());
    }

    @AfterEach
    void stop() {
        node.stop(0);
    }

    @Test
    void theNotarysSignatureMakesItWhole() throws Exception {
        SignedTransaction move = named("cash-move");
        answer = receipt(move, Consortium.NOTARY.keys());
        SignedTransaction whole = notary.notarise(move, Consortium.ALICE);
        whole.verifyRequiredSignatures();
        assertEquals(move.getSigs().size() + 1, whole.getSigs().size());
    }

    /** Whoever answers could say that anything is recorded. */
    @Test
    void noSignatureIsNoneWhereOneIsNeeded() throws Exception {
        answer = "{\"status\": \"recorded\"}";
        assertRefused("no signature", named("cash-move"));
        assertRefused("no signature", named("cash-move-in-first-hour"));
        SignedTransaction issue = named("cash-issue");
        assertEquals(issue, notary.notarise(issue, Consortium.ALICE));
    }

    @Test
    void aSignatureOfAnotherKeyOrTransactionIsNone() throws Exception {
        SignedTransaction move = named("cash-move");
        answer = receipt(move, Consortium.OTHER_NOTARY.keys());
        assertRefused("another key", move);
        answer = receipt(named("cash-issue"), Consortium.NOTARY.keys());
        assertRefused("not of this transaction", move);
    }

    private void assertRefused(String message, SignedTransaction signed) {
        IOException refused = assertThrows(IOException.class, () -> notary.notarise(signed, Consortium.ALICE));
        assertTrue(refused.getMessage().contains(message), refused::getMessage);
    }

    private static String receipt(SignedTransaction signed, KeyPair by) {
        TransactionSignature signature = Draft.sign(signed.getId(), by);
        Base64.Encoder base64 = Base64.getEncoder();
        return "{\"status\": \"notarised\", \"signature\": {\"bytes\": \"" + base64.encodeToString(signature.getBytes())
                + "\", \"by\": \"" + base64.encodeToString(by.getPublic().getEncoded()) + "\", \"platformVersion\": "
                + Corda.PLATFORM_VERSION + ", \"schemeNumberID\": "
                + signature.getSignatureMetadata().getSchemeNumberID() + "}}";
    }

    private SignedTransaction named(String name) {
        return vectors.stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow().signed();
    }
}
