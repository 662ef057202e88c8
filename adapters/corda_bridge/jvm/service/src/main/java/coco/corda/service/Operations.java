package coco.corda.service;

import coco.corda.internal.Corda;
import coco.corda.wire.Failed;
import coco.corda.wire.Pong;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import coco.corda.wire.TearOff;
import coco.corda.wire.TornOff;
import com.google.protobuf.ByteString;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.internal.TransactionDeserialisationException;
import net.corda.core.transactions.FilteredTransaction;
import net.corda.core.transactions.SignedTransaction;
import net.corda.core.transactions.WireTransaction;

/** One answer for each request: safe from many threads, and total but for an exhausted heap, which ends the worker. */
final class Operations {
    /** What everything that Corda serialises begins with. */
    private static final ByteString MAGIC = ByteString.copyFromUtf8("corda");

    private final Limits limits;
    private final Corda corda = new Corda(Limits.CLASS_LOADERS);
    private final Registry registry = new Registry(corda);
    private final Verification verification = new Verification(corda, registry);

    Operations(Limits limits) {
        this.limits = limits;
    }

    /** @throws OutOfMemoryError whoever raised it: other requests share the heap, so no answer can be trusted any more. */
    Response answer(Request request) {
        Response.Builder response = Response.newBuilder().setId(request.getId());
        try {
            perform(request, response);
        } catch (RejectedTransaction verdict) {
            response.setRejected(verdict.toMessage());
        } catch (FailedRequest failed) {
            response.setFailed(Failed.newBuilder().setCode(failed.code).setMessage(failed.getMessage()));
        } catch (TransactionDeserialisationException unreadable) {
            // Corda reads a transaction's parts when they are first asked for.
            response.setRejected(RejectedTransaction.because(unreadable, null).toMessage());
        } catch (OutOfMemoryError exhausted) {
            throw exhausted;
        } catch (Throwable error) {
            // Its class says enough to find it; its message may hold what a transaction says.
            response.setFailed(Failed.newBuilder()
                    .setCode(Failed.Code.INTERNAL)
                    .setMessage("the worker failed: " + error.getClass().getName()));
        }
        Response built = response.build();
        if (built.getSerializedSize() > limits.frameBytes()) {
            return Response.newBuilder()
                    .setId(request.getId())
                    .setFailed(Failed.newBuilder().setCode(Failed.Code.TOO_LARGE).setMessage("the answer exceeds a frame"))
                    .build();
        }
        return built;
    }

    private void perform(Request request, Response.Builder response) throws Throwable {
        switch (request.getOpCase()) {
            case PING -> response.setPong(pong());
            case DESCRIBE -> response.setDescription(Description.of(read(request.getDescribe().getStx())));
            case VERIFY -> response.setVerified(
                    verification.verify(read(request.getVerify().getStx()), request.getVerify()));
            case REGISTER_ATTACHMENT -> response.setAttachment(registry.addAttachment(
                    request.getRegisterAttachment().getContent().toByteArray(),
                    request.getRegisterAttachment().getLoadClasses()));
            case INSPECT_ATTACHMENT -> response.setAttachment(
                    registry.inspect(request.getInspectAttachment().getContent().toByteArray()));
            case REGISTER_NETWORK_PARAMETERS -> response.setNetworkParameters(
                    registry.addParameters(request.getRegisterNetworkParameters().getParameters().toByteArray()));
            case SIGNABLE_TEMPLATE -> response.setTemplate(NotarySignature.template(request.getSignableTemplate()));
            case ASSEMBLE_SIGNATURE -> response.setSignature(NotarySignature.assemble(request.getAssembleSignature()));
            case TEAR_OFF -> response.setTornOff(tearOff(request.getTearOff()));
            default -> throw FailedRequest.malformed("the request has no operation");
        }
    }

    private Pong pong() {
        Package of = Operations.class.getPackage();
        return Pong.newBuilder()
                .setServiceVersion(orUnknown(of.getImplementationVersion()))
                .setCordaVersion(orUnknown(Main.CORDA_VERSION))
                .setPlatformVersion(Corda.PLATFORM_VERSION)
                .setJavaVersion(orUnknown(System.getProperty("java.version")))
                .setThreads(limits.threads())
                .setFrameBytesMax(limits.frameBytes())
                .setAttachments(registry.attachmentCount())
                .setNetworkParameters(registry.parametersCount())
                .build();
    }

    private static String orUnknown(String value) {
        return value == null ? "unknown" : value;
    }

    /** @throws RejectedTransaction where the bytes are no transaction. */
    private static SignedTransaction read(ByteString stx) throws RejectedTransaction {
        if (!stx.startsWith(MAGIC)) {
            throw RejectedTransaction.because(
                    new IllegalArgumentException("these bytes are no SignedTransaction as Corda serialises it"), null);
        }
        try {
            SignedTransaction signed = Corda.deserialize(stx.toByteArray(), SignedTransaction.class);
            // Read lazily otherwise, where it would be taken for a fault of the worker.
            signed.getCoreTransaction().getId();
            return signed;
        } catch (OutOfMemoryError exhausted) {
            throw exhausted;
        } catch (Throwable error) {
            throw RejectedTransaction.because(error, null);
        }
    }

    private static TornOff tearOff(TearOff request) throws Throwable {
        if (!(read(request.getStx()).getCoreTransaction() instanceof WireTransaction wire)) {
            throw FailedRequest.malformed("only a wire transaction can be torn off");
        }
        Map<Integer, Set<Integer>> shown = new HashMap<>();
        for (int group : request.getGroupsList()) {
            if (group < 0 || group >= ComponentGroupEnum.values().length) {
                throw FailedRequest.malformed("there is no component group " + group);
            }
            int count = Corda.components(wire, ComponentGroupEnum.values()[group]).size();
            shown.put(group, IntStream.range(0, count).boxed().collect(Collectors.toSet()));
        }
        int commands = ComponentGroupEnum.COMMANDS_GROUP.ordinal();
        if (shown.containsKey(commands)) {
            // Who may be asked to sign belongs to a command: Corda refuses the one without the other.
            shown.put(ComponentGroupEnum.SIGNERS_GROUP.ordinal(), shown.get(commands));
        }
        int outputs = Corda.components(wire, ComponentGroupEnum.OUTPUTS_GROUP).size();
        for (int index : request.getOutputsList()) {
            if (index < 0 || index >= outputs) {
                throw FailedRequest.malformed("there is no output " + index);
            }
            shown.computeIfAbsent(ComponentGroupEnum.OUTPUTS_GROUP.ordinal(), group -> new HashSet<>()).add(index);
        }
        FilteredTransaction filtered = Corda.filter(wire, shown);
        filtered.verify();
        return TornOff.newBuilder().setFilteredTransaction(ByteString.copyFrom(Corda.serialize(filtered))).build();
    }
}
