package coco.corda.client;

import coco.corda.internal.Corda;
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
import java.util.Base64;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.SignedTransaction;

/**
 * A Coco network as a notary: submits transactions, reads the states one participates in.
 *
 * <p>The interface is described in the adapter's README. Requests are signed by the member's own key; answers are
 * believed as far as the notary's signature goes, and that is checked here.
 */
public final class Notary {
    private static final String CONTEXT = "coco.corda.request.v1";
    private static final SecureRandom RANDOM = new SecureRandom();

    private final URI base;
    private final HttpClient http;
    private final PublicKey key;

    /**
     * @param base where the ledger's interface is, ending in a slash
     * @param http with the trust in the network's certificate that it needs
     * @param key the notary's, known beforehand: not asked of who is to prove it
     */
    public Notary(URI base, HttpClient http, PublicKey key) {
        this.base = base;
        this.http = http;
        this.key = key;
    }

    /**
     * Has a transaction verified and recorded, and signed where it needs the notary.
     *
     * @return the same with the notary's signature, checked; or as it was, where it needs none
     * @throws Refused with Corda's error, where it is not valid or a state is used up
     */
    public SignedTransaction notarise(SignedTransaction signed, Member by) throws IOException, InterruptedException {
        JsonObject receipt = ask("POST", "transactions", Corda.serialize(signed), by);
        if (!receipt.has("signature") || receipt.get("signature").isJsonNull()) {
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

    /** The states not used up in which a member participates, as the network answers. */
    public JsonObject states(Member member) throws IOException, InterruptedException {
        return ask("GET", "states", new byte[0], member);
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
        URI uri = base.resolve(target);
        String path = uri.getRawPath() + (uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery());
        String time = String.valueOf(System.currentTimeMillis());
        byte[] random = new byte[18];
        RANDOM.nextBytes(random);
        String nonce = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        String lines = String.join("\n", CONTEXT, method, path, SecureHash.sha256(key.getEncoded()).toString(), time, nonce,
                SecureHash.sha256(body).toString());
        HttpRequest.Builder request = HttpRequest.newBuilder(uri)
                .method(method, HttpRequest.BodyPublishers.ofByteArray(body))
                .header("content-type", "application/octet-stream")
                .header("coco-corda-key", encoded(by.key().getEncoded()))
                .header("coco-corda-time", time)
                .header("coco-corda-nonce", nonce)
                .header("coco-corda-signature", encoded(sign(by, lines)));
        HttpResponse<String> response = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
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
    }
}
