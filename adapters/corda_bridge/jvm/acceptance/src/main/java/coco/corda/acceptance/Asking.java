package coco.corda.acceptance;

import coco.corda.wire.Cause;
import coco.corda.wire.Describe;
import coco.corda.wire.Description;
import coco.corda.wire.RegisterAttachment;
import coco.corda.wire.RegisterNetworkParameters;
import coco.corda.wire.Request;
import coco.corda.wire.ResolvedState;
import coco.corda.wire.Response;
import coco.corda.wire.StateRef;
import coco.corda.wire.Verify;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;
import net.corda.core.crypto.SecureHash;

/** The requests an adapter makes, about what is here. */
final class Asking {
    static final SecureHash FINANCE = SecureHash.sha256(Consortium.financeContracts());
    static final SecureHash TOKENS = SecureHash.sha256(Consortium.tokenContracts());

    private Asking() {}

    static Response attachment(Worker worker, byte[] content) throws IOException {
        return worker.ask(Request.newBuilder().setRegisterAttachment(
                RegisterAttachment.newBuilder().setContent(ByteString.copyFrom(content)).setLoadClasses(true)));
    }

    static Response parameters(Worker worker, byte[] content) throws IOException {
        return worker.ask(Request.newBuilder().setRegisterNetworkParameters(
                RegisterNetworkParameters.newBuilder().setParameters(ByteString.copyFrom(content))));
    }

    /** What every worker is told before it is asked: the contracts, and two epochs of parameters. */
    static void introduce(Worker worker) throws IOException {
        parameters(worker, Consortium.PARAMETERS.get("epoch-1"));
        parameters(worker, Consortium.PARAMETERS.get("epoch-2"));
        attachment(worker, Consortium.financeContracts());
        attachment(worker, Consortium.tokenContracts());
        attachment(worker, Consortium.data());
    }

    static Description describe(Worker worker, byte[] stx) throws IOException {
        return worker.ask(Request.newBuilder().setDescribe(
                Describe.newBuilder().setStx(ByteString.copyFrom(stx)))).getDescription();
    }

    /** A golden vector: the consortium trusts both jars of contracts, or neither where the vector says so. */
    static Request.Builder verify(Vector vector) {
        return verify(vector, FINANCE, TOKENS);
    }

    static Request.Builder verify(Vector vector, SecureHash... trusted) {
        Verify.Builder verify = Verify.newBuilder()
                .setStx(ByteString.copyFrom(vector.stx()))
                .setSignatures(Verify.SignaturePolicy.ALL_EXCEPT_NOTARY)
                .setNotaryKey(ByteString.copyFrom(Consortium.NOTARY.key().getEncoded()));
        if (vector.trusted()) {
            for (SecureHash id : trusted) {
                verify.addTrustedAttachments(ByteString.copyFrom(id.getBytes()));
            }
        }
        for (Vector.State state : vector.states()) {
            verify.addStates(ResolvedState.newBuilder()
                    .setRef(StateRef.newBuilder()
                            .setTxId(ByteString.copyFrom(state.ref().getTxhash().getBytes()))
                            .setIndex(state.ref().getIndex()))
                    .setState(ByteString.copyFrom(state.bytes()))
                    .setNetworkParametersHash(ByteString.copyFrom(Consortium.hashOf(state.parameters()).getBytes())));
        }
        return Request.newBuilder().setVerify(verify);
    }

    /** As a vector says it: "Verified", or the kind of the rejection. */
    static String verdict(Response response) {
        return switch (response.getResultCase()) {
            case VERIFIED -> "Verified";
            case REJECTED -> response.getRejected().getKind();
            default -> response.toString();
        };
    }

    static String messages(Response response) {
        List<Cause> causes = response.getRejected().getCausesList();
        return causes.stream().map(Cause::getMessage).collect(Collectors.joining("\n"));
    }
}
