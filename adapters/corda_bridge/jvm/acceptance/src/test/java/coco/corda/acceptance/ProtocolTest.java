package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import coco.corda.client.Draft;
import coco.corda.internal.Corda;
import coco.corda.wire.AssembleSignature;
import coco.corda.wire.AttachmentInfo;
import coco.corda.wire.Describe;
import coco.corda.wire.Description;
import coco.corda.wire.Failed;
import coco.corda.wire.Ping;
import coco.corda.wire.Pong;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import coco.corda.wire.SignableTemplate;
import coco.corda.wire.TearOff;
import coco.corda.wire.Template;
import coco.corda.wire.Verify;
import com.google.protobuf.ByteString;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.math.BigInteger;
import java.net.Socket;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.RSAPublicKeySpec;
import java.util.Set;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.crypto.CompositeKey;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.crypto.SignatureMetadata;
import net.corda.core.crypto.SignatureScheme;
import net.corda.core.crypto.TransactionSignature;
import net.corda.core.transactions.FilteredTransaction;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.junit.jupiter.api.Test;

/** What wire/bridge.proto says, asked of the process. */
class ProtocolTest extends IntroducedWorker {
    @Test
    void pongSaysWhatRuns() throws Exception {
        Pong pong = worker.ask(Request.newBuilder().setPing(Ping.getDefaultInstance())).getPong();
        assertEquals("4.10", pong.getCordaVersion());
        assertEquals(12, pong.getPlatformVersion());
        assertEquals(2, pong.getNetworkParameters());
        assertEquals(3, pong.getAttachments());
    }

    @Test
    void aDescriptionNeedsNoClassOfTheContract() throws Exception {
        Vector move = named("cash-move-in-first-hour");
        Description description = Asking.describe(worker, move.stx());
        assertEquals(Description.Kind.WIRE, description.getKind());
        assertArrayEquals(move.signed().getId().getBytes(), description.getTxId().toByteArray());
        assertEquals("net.corda.finance.contracts.asset.Cash$Commands$Move", description.getCommands(0).getClassName());
        assertEquals(1, description.getInputsCount());
        assertEquals(1, description.getOutputCount());
        assertArrayEquals(SecureHash.sha256(move.output(0)).getBytes(), description.getOutputHashes(0).toByteArray());
        assertTrue(description.getNotaryRequired());
        assertEquals(3600, description.getTimeWindow().getUntil().getSeconds()
                - description.getTimeWindow().getFrom().getSeconds());
        assertEquals(2, description.getRequiredSignersCount());
        assertTrue(description.getRequiredSignersList().stream().anyMatch(each -> each.getNotary() && !each.getSigned()));
        assertTrue(description.getRequiredSignersList().stream().anyMatch(each -> !each.getNotary() && each.getSigned()));
    }

    @Test
    void anIssuanceNeedsNoNotary() throws Exception {
        Description description = Asking.describe(worker, named("cash-issue").stx());
        assertFalse(description.getNotaryRequired());
        assertEquals(1, description.getRequiredSignersCount());
    }

    @Test
    void registeringTheContractsTellsWhatTheyAre() throws Exception {
        AttachmentInfo info = Asking.attachment(worker, Consortium.financeContracts()).getAttachment();
        assertTrue(info.getContractsList().containsAll(Set.of("net.corda.finance.contracts.asset.Cash",
                "net.corda.finance.contracts.asset.Obligation", "net.corda.finance.contracts.CommercialPaper")));
        assertEquals(1, info.getSignersCount());
        assertEquals(12, info.getTargetPlatformVersion());
    }

    @Test
    void theTemplateIsWhatTheNotarySigns() throws Exception {
        byte[] id = named("cash-move").signed().getId().getBytes();
        int scheme = Crypto.EDDSA_ED25519_SHA512.getSchemeNumberID();
        Template template = worker.ask(Request.newBuilder().setSignableTemplate(SignableTemplate.newBuilder()
                .setPlatformVersion(Corda.PLATFORM_VERSION).setSchemeNumberId(scheme))).getTemplate();
        byte[] signed = template.getTemplate().toByteArray();
        System.arraycopy(id, 0, signed, template.getTxIdOffset(), id.length);
        byte[] signature = Crypto.doSign(Consortium.NOTARY.keys().getPrivate(), signed);
        TransactionSignature own = Draft.sign(named("cash-move").signed().getId(), Consortium.NOTARY.keys());
        assertArrayEquals(own.getBytes(), signature);

        AssembleSignature.Builder assemble = AssembleSignature.newBuilder()
                .setTxId(ByteString.copyFrom(id))
                .setSignature(ByteString.copyFrom(signature))
                .setKey(ByteString.copyFrom(Consortium.NOTARY.key().getEncoded()))
                .setPlatformVersion(Corda.PLATFORM_VERSION)
                .setSchemeNumberId(scheme);
        Response assembled = worker.ask(Request.newBuilder().setAssembleSignature(assemble));
        TransactionSignature read = Corda.deserialize(
                assembled.getSignature().getTransactionSignature().toByteArray(), TransactionSignature.class);
        assertTrue(read.isValid(named("cash-move").signed().getId()));
        Response refused = worker.ask(Request.newBuilder().setAssembleSignature(assemble.setPlatformVersion(11)));
        assertEquals("SignatureException", refused.getRejected().getKind());
    }

    @Test
    void withTheNotarysSignatureEverySignatureCanBeAskedFor() throws Exception {
        Vector move = named("cash-move");
        Request.Builder request = Asking.verify(move);
        request.getVerifyBuilder().setSignatures(Verify.SignaturePolicy.ALL);
        assertEquals("SignedTransaction.SignaturesMissingException", Asking.verdict(worker.ask(request)));
        byte[] notarised = Corda.serialize(move.signed().withAdditionalSignature(
                Draft.sign(move.signed().getId(), Consortium.NOTARY.keys())));
        request.getVerifyBuilder().setStx(ByteString.copyFrom(notarised));
        assertEquals("Verified", Asking.verdict(worker.ask(request)));
    }

    @Test
    void aTornOffTransactionShowsWhatItIsToldAndProvesTheRest() throws Exception {
        Vector split = named("cash-split");
        Response response = worker.ask(Request.newBuilder().setTearOff(TearOff.newBuilder()
                .setStx(ByteString.copyFrom(split.stx()))
                .addGroups(ComponentGroupEnum.INPUTS_GROUP.ordinal())
                .addOutputs(1)));
        FilteredTransaction filtered = Corda.deserialize(
                response.getTornOff().getFilteredTransaction().toByteArray(), FilteredTransaction.class);
        filtered.verify();
        assertEquals(split.signed().getId(), filtered.getId());
        filtered.checkAllComponentsVisible(ComponentGroupEnum.INPUTS_GROUP);
        assertEquals(1, filtered.getOutputs().size());
        assertEquals(0, filtered.getCommands().size());
    }

    @Test
    void tamperedBytesAreRejected() throws Exception {
        byte[] stx = named("cash-move").stx().clone();
        stx[stx.length / 2] ^= 1;
        Request.Builder request = Asking.verify(named("cash-move"));
        request.getVerifyBuilder().setStx(ByteString.copyFrom(stx));
        assertEquals(Response.ResultCase.REJECTED, worker.ask(request).getResultCase());
        request.getVerifyBuilder().setStx(ByteString.copyFromUtf8("no transaction"));
        assertEquals(Response.ResultCase.REJECTED, worker.ask(request).getResultCase());
    }

    /** Checking one such signature takes seconds, whoever sent it. */
    @Test
    void signaturesThatTakeLongToCheckAreNotChecked() throws Exception {
        BigInteger modulus = ((RSAPublicKey) Crypto.generateKeyPair(Crypto.RSA_SHA256).getPublic()).getModulus();
        PublicKey key = Crypto.toSupportedPublicKey(KeyFactory.getInstance("RSA", new BouncyCastleProvider())
                .generatePublic(new RSAPublicKeySpec(modulus, modulus.subtract(BigInteger.TWO))));
        assertSignatureNotTaken(key, Crypto.RSA_SHA256);
        PublicKey composite = new CompositeKey.Builder()
                .addKeys(Consortium.ALICE.key(), Consortium.BOB.key()).build(1);
        assertSignatureNotTaken(composite, Crypto.COMPOSITE_KEY);
    }

    private static void assertSignatureNotTaken(PublicKey key, SignatureScheme scheme) throws Exception {
        SignatureMetadata metadata = new SignatureMetadata(Corda.PLATFORM_VERSION, scheme.getSchemeNumberID());
        TransactionSignature signature = new TransactionSignature(new byte[512], key, metadata);
        Request.Builder request = Asking.verify(named("cash-issue"));
        request.getVerifyBuilder().setStx(ByteString.copyFrom(
                Corda.serialize(named("cash-issue").signed().withAdditionalSignature(signature))));
        Response response = worker.ask(request);
        assertEquals("SignatureException", Asking.verdict(response), response::toString);
        assertTrue(Asking.messages(response).contains("not taken"), () -> Asking.messages(response));
    }

    @Test
    void whatIsNoRequestIsCalledThat() throws Exception {
        assertEquals(Failed.Code.MALFORMED, worker.ask(Request.newBuilder()).getFailed().getCode());
        Request.Builder noPolicy = Asking.verify(named("cash-issue"));
        noPolicy.getVerifyBuilder().clearSignatures();
        assertEquals(Failed.Code.MALFORMED, worker.ask(noPolicy).getFailed().getCode());
        Request.Builder noNotary = Asking.verify(named("cash-issue"));
        noNotary.getVerifyBuilder().clearNotaryKey();
        assertEquals(Failed.Code.MALFORMED, worker.ask(noNotary).getFailed().getCode());
        Request.Builder twice = Asking.verify(named("cash-move"));
        twice.getVerifyBuilder().addStates(twice.getVerify().getStates(0));
        assertEquals(Failed.Code.MALFORMED, worker.ask(twice).getFailed().getCode());
        assertEquals(Failed.Code.MALFORMED, Asking.attachment(worker, new byte[] {1, 2, 3}).getFailed().getCode());
    }

    @Test
    void aFrameThatIsNoRequestEndsTheConnectionAndNoOther() throws Exception {
        try (Socket socket = worker.connect()) {
            new DataOutputStream(socket.getOutputStream()).write(new byte[] {0, 0, 0, 3, -1, -1, -1});
            assertRefusedAndClosed(socket, Failed.Code.MALFORMED);
        }
        try (Socket socket = worker.connect()) {
            new DataOutputStream(socket.getOutputStream()).writeInt(Integer.MAX_VALUE);
            assertRefusedAndClosed(socket, Failed.Code.TOO_LARGE);
        }
        assertEquals("Verified", Asking.verdict(worker.ask(Asking.verify(named("cash-issue")))));
    }

    @Test
    void manyRequestsAtOnceAreAllAnswered() throws Exception {
        int count = 200;
        try (Socket socket = worker.connect()) {
            DataOutputStream output = new DataOutputStream(socket.getOutputStream());
            Request describe = Request.newBuilder().setDescribe(
                    Describe.newBuilder().setStx(ByteString.copyFrom(named("cash-move").stx()))).build();
            for (int id = 1; id <= count; id++) {
                Worker.write(output, describe.toBuilder().setId(id).build());
            }
            Set<Long> answered = new java.util.HashSet<>();
            DataInputStream input = new DataInputStream(socket.getInputStream());
            for (int id = 1; id <= count; id++) {
                Response response = Worker.read(input);
                assertEquals(Response.ResultCase.DESCRIPTION, response.getResultCase());
                answered.add(response.getId());
            }
            assertEquals(count, answered.size());
        }
    }

    private static void assertRefusedAndClosed(Socket socket, Failed.Code code) throws Exception {
        DataInputStream input = new DataInputStream(socket.getInputStream());
        Response response = Worker.read(input);
        assertEquals(0, response.getId());
        assertEquals(code, response.getFailed().getCode());
        assertEquals(-1, input.read());
    }
}
