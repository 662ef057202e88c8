package coco.corda.service;

import coco.corda.internal.Corda;
import coco.corda.wire.AttachmentInfo;
import coco.corda.wire.NetworkParametersInfo;
import coco.corda.wire.Notary;
import java.io.NotSerializableException;
import java.security.PublicKey;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.corda.core.contracts.Attachment;
import net.corda.core.crypto.SecureHash;
import net.corda.core.node.NetworkParameters;
import net.corda.core.node.NotaryInfo;

/** The attachments and network parameters that the adapter gave this worker: all that it keeps between requests. */
final class Registry {
    /** @param classes how many classes it holds; what holds none needs no trust. */
    record Registered(Attachment attachment, int classes, boolean loadClasses, AttachmentInfo info, int bytes) {}

    private final Corda corda;
    private final Map<SecureHash, Registered> attachments = new LinkedHashMap<>();
    private final Map<SecureHash, NetworkParameters> parameters = new LinkedHashMap<>();
    private long attachmentBytes;

    Registry(Corda corda) {
        this.corda = corda;
    }

    synchronized Registered attachment(SecureHash id) {
        return attachments.get(id);
    }

    synchronized NetworkParameters parameters(SecureHash hash) {
        return parameters.get(hash);
    }

    synchronized int attachmentCount() {
        return attachments.size();
    }

    synchronized int parametersCount() {
        return parameters.size();
    }

    /** Registering one twice changes nothing but that its classes are loaded if they now are to be. */
    AttachmentInfo addAttachment(byte[] content, boolean loadClasses) throws RejectedTransaction {
        Registered registered = read(content, loadClasses);
        keep(registered);
        if (loadClasses && registered.classes() > 0) {
            NetworkParameters newest = newestParameters();
            if (newest != null) {
                loadClasses(registered, newest);
            }
        }
        return registered.info();
    }

    /** What an attachment is; it is not kept, so that whoever brings many takes no place from others. */
    AttachmentInfo inspect(byte[] content) throws RejectedTransaction {
        return read(content, false).info();
    }

    private static Registered read(byte[] content, boolean loadClasses) throws RejectedTransaction {
        Contents contents = Contents.of(content);
        for (String contract : contents.contracts()) {
            if (isOnClassPath(contract)) {
                throw FailedRequest.malformed(contract + " is on the worker's own class path, so it would not come from "
                        + "the attachment");
            }
        }
        List<PublicKey> signers;
        try {
            signers = Corda.signersOf(content);
        } catch (Exception error) {
            throw RejectedTransaction.because(error, null);
        }
        Attachment attachment = Corda.attachment(content, contents.contracts(), signers, contents.contractVersion());
        AttachmentInfo.Builder info = AttachmentInfo.newBuilder()
                .setId(Forms.bytes(attachment.getId()))
                .addAllContracts(contents.contracts())
                .setContractVersion(contents.contractVersion())
                .setTargetPlatformVersion(contents.targetPlatformVersion())
                .setClassCount(contents.classes());
        signers.forEach(key -> info.addSigners(Forms.bytes(key)));
        return new Registered(attachment, contents.classes(), loadClasses, info.build(), content.length);
    }

    NetworkParametersInfo addParameters(byte[] content) throws RejectedTransaction {
        NetworkParameters added;
        try {
            added = Corda.deserialize(content, NetworkParameters.class);
        } catch (NotSerializableException | RuntimeException error) {
            throw RejectedTransaction.because(error, null);
        }
        if (added.getMinimumPlatformVersion() > Corda.PLATFORM_VERSION) {
            throw FailedRequest.malformed("the parameters demand platform version " + added.getMinimumPlatformVersion()
                    + ", this worker is " + Corda.PLATFORM_VERSION);
        }
        SecureHash hash = SecureHash.sha256(content);
        List<Registered> toLoad;
        synchronized (this) {
            if (!parameters.containsKey(hash) && parameters.size() >= Limits.NETWORK_PARAMETERS) {
                throw FailedRequest.tooLarge("the worker keeps no more than " + Limits.NETWORK_PARAMETERS + " parameters");
            }
            parameters.put(hash, added);
            toLoad = attachments.values().stream().filter(each -> each.loadClasses() && each.classes() > 0).toList();
        }
        if (added == newestParameters()) {
            toLoad.forEach(each -> loadClasses(each, added));
        }
        NetworkParametersInfo.Builder info = NetworkParametersInfo.newBuilder()
                .setHash(Forms.bytes(hash))
                .setEpoch(added.getEpoch())
                .setMinimumPlatformVersion(added.getMinimumPlatformVersion())
                .setMaxMessageBytes(added.getMaxMessageSize())
                .setMaxTransactionBytes(added.getMaxTransactionSize());
        for (NotaryInfo notary : added.getNotaries()) {
            info.addNotaries(Notary.newBuilder()
                    .setIdentity(Forms.message(notary.getIdentity()))
                    .setValidating(notary.getValidating()));
        }
        return info.build();
    }

    private synchronized void keep(Registered registered) {
        SecureHash id = registered.attachment().getId();
        if (attachments.containsKey(id)) {
            return;
        }
        if (attachments.size() >= Limits.ATTACHMENTS
                || attachmentBytes + registered.bytes() > Limits.ATTACHMENT_BYTES_TOTAL) {
            throw FailedRequest.tooLarge("the worker keeps no more than " + Limits.ATTACHMENTS + " attachments of "
                    + Limits.ATTACHMENT_BYTES_TOTAL + " bytes together");
        }
        attachments.put(id, registered);
        attachmentBytes += registered.bytes();
    }

    private synchronized NetworkParameters newestParameters() {
        NetworkParameters newest = null;
        for (NetworkParameters each : parameters.values()) {
            if (newest == null || each.getEpoch() >= newest.getEpoch()) {
                newest = each;
            }
        }
        return newest;
    }

    /** A set of attachments that was not seen yet costs its first transaction a tenth of a second; this spares it. */
    private void loadClasses(Registered registered, NetworkParameters parameters) {
        try {
            corda.withClassesOf(List.of(registered.attachment()), parameters, SecureHash.Companion.getZeroHash(),
                    each -> true, context -> {
                        registered.info().getContractsList().forEach(name -> load(name, context.getDeserializationClassLoader()));
                        return null;
                    });
        } catch (OutOfMemoryError exhausted) {
            throw exhausted;
        } catch (Throwable invalid) {
            // Only done to be quick: the first transaction that names it is told what is wrong.
        }
    }

    private static void load(String name, ClassLoader classes) {
        try {
            Class.forName(name, false, classes);
        } catch (ClassNotFoundException | LinkageError incomplete) {
            // As above.
        }
    }

    private static boolean isOnClassPath(String name) {
        try {
            Class.forName(name, false, ClassLoader.getSystemClassLoader());
            return true;
        } catch (ClassNotFoundException | LinkageError absent) {
            return false;
        }
    }
}
