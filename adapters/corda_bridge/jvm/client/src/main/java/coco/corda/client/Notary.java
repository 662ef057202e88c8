package coco.corda.client;

import coco.corda.internal.Corda;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TransactionState;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.identity.CordaX500Name;
import net.corda.core.identity.Party;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;

/**
 * A Coco network as a notary: submits transactions, reads the states one participates in.
 *
 * <p>The interface is described in the adapter's README. Requests are signed by the member's own key; answers are
 * believed as far as the notary's signature goes, and that is checked here.
 */
public final class Notary {
    private static final String CONTEXT = "coco.corda.request.v1";
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final int TRIES = 60;
    private static final long PAUSE_MS = 500;
    private static final Duration TIMEOUT = Duration.ofSeconds(90);

    static {
        Serialization.start();
    }

    private final URI base;
    private final HttpClient http;
    private final PublicKey key;

    /**
     * @param base where the ledger's interface is: {@code http://HOST:PORT/}
     * @param http with the trust in the network's certificate that it needs
     * @param key the notary's, known beforehand: not asked of who is to prove it
     */
    public Notary(URI base, HttpClient http, PublicKey key) {
        this.base = base;
        this.http = http;
        this.key = key;
    }

    /**
     * What a network says of itself: its notary, the parameters it knows, the jars whose code it trusts.
     *
     * <p>Believe the key only as far as whoever answers; a member of a consortium has it from there.
     */
    public record Terms(Party notary, List<SecureHash> parameters, List<SecureHash> trustedAttachments) {}

    /** Asks a network for its terms, which anybody may. */
    public static Terms terms(URI base, HttpClient http) throws IOException, InterruptedException {
        HttpRequest request = request(base.resolve("notary")).build();
        JsonObject told = read(http.send(request, HttpResponse.BodyHandlers.ofString()));
        PublicKey key = Crypto.decodePublicKey(Base64.getDecoder().decode(told.get("key").getAsString()));
        Party notary = new Party(CordaX500Name.parse(told.get("name").getAsString()), key);
        return new Terms(notary, hashes(told, "parameters"), hashes(told, "trustedAttachments"));
    }

    private static List<SecureHash> hashes(JsonObject told, String field) {
        List<SecureHash> found = new ArrayList<>();
        told.getAsJsonArray(field).forEach(each -> found.add(SecureHash.create(each.getAsString())));
        return List.copyOf(found);
    }

    /**
     * Has a transaction verified and recorded, and signed where it needs the notary.
     *
     * @return the same with the notary's signature, checked; or as it was, where it needs none
     * @throws Refused with Corda's error, where it is not valid or a state is used up
     */
    public SignedTransaction notarise(SignedTransaction signed, Member by) throws IOException, InterruptedException {
        JsonObject receipt = ask("POST", "transactions", Corda.serialize(signed), by);
        if (!receipt.has("signature")) {
            if (needsNotary(signed.getTx())) {
                throw new IOException("the answer has no signature of the notary, which this transaction needs");
            }
            return signed;
        }
        TransactionSignature signature = signature(receipt.getAsJsonObject("signature"));
        try {
            signature.verify(signed.getId());
        } catch (GeneralSecurityException error) {
            throw new IOException("the notary's signature is not of this transaction", error);
        }
        return signed.withAdditionalSignature(signature);
    }

    private static boolean needsNotary(WireTransaction transaction) {
        return !transaction.getInputs().isEmpty()
                || !transaction.getReferences().isEmpty()
                || transaction.getTimeWindow() != null;
    }

    /** The states not used up in which a member participates, as the network answers. */
    public JsonObject states(Member member) throws IOException, InterruptedException {
        return ask("GET", "states", new byte[0], member);
    }

    /**
     * A state in which a member participates, used up or not, as its own class: which must be on the class path.
     *
     * @return null where there is none, or not for this member; a node that is behind the others may get it yet
     */
    public TransactionState<?> state(StateRef ref, Member member) throws IOException, InterruptedException {
        HttpResponse<String> response = send("GET", "states/" + ref, new byte[0], member);
        if (response.statusCode() == 404) {
            return null;
        }
        byte[] bytes = Base64.getDecoder().decode(read(response).get("state").getAsString());
        return Corda.deserialize(bytes, TransactionState.class);
    }

    /**
     * What happened to a member's states since a place in the ledger.
     *
     * @param after the `seqno` of the answer before, or 0
     * @param waitSeconds how long to wait while there is nothing to tell
     */
    public JsonObject changes(Member member, long after, int waitSeconds) throws IOException, InterruptedException {
        return ask("GET", "updates?after=" + after + "&wait=" + waitSeconds, new byte[0], member);
    }

    private TransactionSignature signature(JsonObject described) throws IOException {
        Base64.Decoder base64 = Base64.getDecoder();
        PublicKey by = Crypto.decodePublicKey(base64.decode(described.get("by").getAsString()));
        if (!by.equals(key)) {
            throw new IOException("another key than the notary's signed");
        }
        return new TransactionSignature(base64.decode(described.get("bytes").getAsString()), by, new SignatureMetadata(
                described.get("platformVersion").getAsInt(), described.get("schemeNumberID").getAsInt()));
    }

    private JsonObject ask(String method, String target, byte[] body, Member by) throws IOException, InterruptedException {
        return read(send(method, target, body, by));
    }

    /** Sends a request, and again while the network says to: what is asked may be asked any number of times. */
    private HttpResponse<String> send(String method, String target, byte[] body, Member by)
            throws IOException, InterruptedException {
        HttpResponse<String> response = null;
        for (int number = 0; number < TRIES; number++) {
            response = http.send(signed(method, target, body, by), HttpResponse.BodyHandlers.ofString());
            if (response.statusCode() != 503) {
                return response;
            }
            Thread.sleep(PAUSE_MS);
        }
        return response;
    }

    /** In HTTP/1.1: Java would ask to go on in HTTP/2 otherwise, which nodes do not speak. */
    private static HttpRequest.Builder request(URI uri) {
        return HttpRequest.newBuilder(uri).version(HttpClient.Version.HTTP_1_1).timeout(TIMEOUT);
    }

    private HttpRequest signed(String method, String target, byte[] body, Member by) throws IOException {
        URI uri = base.resolve(target);
        String path = uri.getRawPath() + (uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery());
        String time = String.valueOf(System.currentTimeMillis());
        byte[] random = new byte[18];
        RANDOM.nextBytes(random);
        String nonce = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        String lines = String.join("\n", CONTEXT, method, path, SecureHash.sha256(key.getEncoded()).toString(), time, nonce,
                SecureHash.sha256(body).toString());
        return request(uri)
                .method(method, HttpRequest.BodyPublishers.ofByteArray(body))
                .header("content-type", "application/octet-stream")
                .header("coco-corda-key", encoded(by.key().getEncoded()))
                .header("coco-corda-time", time)
                .header("coco-corda-nonce", nonce)
                .header("coco-corda-signature", encoded(sign(by, lines)))
                .build();
    }

    private static JsonObject read(HttpResponse<String> response) throws IOException {
        if (response.statusCode() == 422) {
            throw new Refused(JsonParser.parseString(response.body()).getAsJsonObject().getAsJsonObject("error"));
        }
        if (response.statusCode() != 200) {
            throw new IOException("the network answers " + response.statusCode() + ": " + response.body());
        }
        return JsonParser.parseString(response.body()).getAsJsonObject();
    }

    private static byte[] sign(Member by, String lines) throws IOException {
        try {
            return Crypto.doSign(by.keys().getPrivate(), lines.getBytes(StandardCharsets.UTF_8));
        } catch (GeneralSecurityException error) {
            throw new IOException("the key cannot sign", error);
        }
    }

    private static String encoded(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    /** The network's verdict against a transaction, in Corda's words. */
    public static final class Refused extends IOException {
        private final transient JsonObject error;

        Refused(JsonObject error) {
            super(error.get("type").getAsString() + ": " + error.get("message").getAsString());
            this.error = error;
        }

        /** As the adapter's README describes it: `type`, `message`, and what belongs to that type. */
        public JsonObject error() {
            return error;
        }

        /** What the exceptions behind it say, outermost first; a contract's own words are among them. */
        public List<String> causes() {
            List<String> messages = new ArrayList<>();
            if (error.has("causes")) {
                for (JsonElement cause : error.getAsJsonArray("causes")) {
                    messages.add(cause.getAsJsonObject().get("message").getAsString());
                }
            }
            return messages;
        }
    }
}
