package coco.corda.internal;

import static net.corda.core.serialization.SerializationAPIKt.DESERIALIZATION_CACHE_PROPERTY;
import static net.corda.core.serialization.internal.SerializationEnvironmentKt.setNodeSerializationEnv;

import com.google.common.cache.CacheBuilder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.NotSerializableException;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.jar.JarInputStream;
import kotlin.jvm.functions.Function1;
import net.corda.core.contracts.Attachment;
import net.corda.core.contracts.Command;
import net.corda.core.contracts.ComponentGroupEnum;
import net.corda.core.contracts.ContractAttachment;
import net.corda.core.contracts.ContractState;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TimeWindow;
import net.corda.core.contracts.TransactionState;
import net.corda.core.contracts.TransactionVerificationException;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.MerkleTree;
import net.corda.core.crypto.MerkleTreeException;
import net.corda.core.crypto.PartialMerkleTree;
import net.corda.core.crypto.SecureHash;
import net.corda.core.identity.Party;
import net.corda.core.internal.AbstractAttachmentKt;
import net.corda.core.internal.JarSignatureCollector;
import net.corda.core.internal.TransactionUtilsKt;
import net.corda.core.node.NetworkParameters;
import net.corda.core.serialization.SerializationContext;
import net.corda.core.serialization.SerializationCustomSerializer;
import net.corda.core.serialization.SerializationFactory;
import net.corda.core.serialization.SerializedBytes;
import net.corda.core.serialization.internal.AttachmentsClassLoaderBuilder;
import net.corda.core.serialization.internal.AttachmentsClassLoaderCache;
import net.corda.core.serialization.internal.AttachmentsClassLoaderSimpleCacheImpl;
import net.corda.core.serialization.internal.SerializationEnvironment;
import net.corda.core.transactions.ComponentGroup;
import net.corda.core.transactions.FilteredComponentGroup;
import net.corda.core.transactions.FilteredTransaction;
import net.corda.core.transactions.LedgerTransaction;
import net.corda.core.transactions.WireTransaction;
import net.corda.core.utilities.ByteSequence;
import net.corda.core.utilities.OpaqueBytes;
import net.corda.serialization.internal.CordaSerializationMagic;
import net.corda.serialization.internal.GeneratedAttachment;
import net.corda.serialization.internal.SerializationFactoryImpl;
import net.corda.serialization.internal.SharedContexts;
import net.corda.serialization.internal.amqp.AbstractAMQPSerializationScheme;
import net.corda.serialization.internal.amqp.DeserializationInput;
import net.corda.serialization.internal.amqp.Envelope;
import net.corda.serialization.internal.amqp.SerializerFactory;
import net.corda.serialization.internal.amqp.TypeNotation;
import org.apache.qpid.proton.amqp.DescribedType;

/**
 * Everything of Corda that is not its public API: the one file a move to another version of Corda rewrites.
 *
 * <p>Corda calls these internal and changes them between releases, so they are called with the version the build pins
 * and no other; {@link #start} fails at once where one is missing.
 */
public final class Corda {
    /** Corda-Platform-Version of the pinned release. */
    public static final int PLATFORM_VERSION = 12;

    /** What Corda, made for Java 8, looks into and newer Java keeps shut; the worker's manifest and opens.args open it. */
    public static final List<String> OPENED = List.of("java.io", "java.lang", "java.net", "java.time", "java.util");

    private static final Scheme SCHEME = new Scheme();
    private static final Method TO_LEDGER_TRANSACTION = method(WireTransaction.class, "toLedgerTransactionInternal", 6);
    private static final Method HASHES = method(WireTransaction.class, "getAvailableComponentHashes$core", 0);
    private static final Method NONCES = method(WireTransaction.class, "getAvailableComponentNonces$core", 0);
    private static final Field MERKLE_TREE = field(WireTransaction.class, "merkleTree$delegate");
    private static final Method GROUP_HASHES = method(WireTransaction.class, "getGroupHashes$core", 0);

    /** Reads the type of what a context deserialises; not in the environment, so that its factory is our own. */
    private static volatile SerializationContext context;

    private final AttachmentsClassLoaderCache classLoaders;

    /** @param classLoadersMax how many are kept: one for each set of attachments under each network parameters */
    public Corda(int classLoadersMax) {
        start();
        classLoaders = new AttachmentsClassLoaderSimpleCacheImpl(classLoadersMax);
    }

    /**
     * Sets Corda's serialization up, once in a JVM, for all threads.
     *
     * <p>Without the carpenter, which makes classes up for types it does not know: here those come from attachments.
     *
     * @throws IllegalStateException in a JVM that keeps shut what Corda looks into. It would call valid transactions
     *     invalid there: serializers of what they hold fail one by one.
     */
    public static void start() {
        if (context == null) {
            start(Set.of(), Set.of());
        }
    }

    /**
     * The same for a program with a CorDapp's classes on its class path: with what Corda finds in the CorDapp's JAR elsewhere.
     *
     * @param serializers of classes that cannot be serialized by themselves
     * @param allowed classes that may be serialized and do not say so
     * @throws IllegalStateException also where it was set up before, and serializers are said now
     */
    public static synchronized void start(Set<SerializationCustomSerializer<?, ?>> serializers, Set<Class<?>> allowed) {
        if (context != null) {
            if (serializers.isEmpty()) {
                return;
            }
            throw new IllegalStateException("Corda's serialization was set up before: say what it has to know first");
        }
        for (String name : OPENED) {
            if (!Object.class.getModule().isOpen(name, Corda.class.getModule())) {
                throw new IllegalStateException(name + " is shut; start it with --add-opens java.base/" + name + "=ALL-UNNAMED");
            }
        }
        SerializationFactoryImpl factory = new SerializationFactoryImpl();
        factory.registerScheme(SCHEME);
        SerializationContext p2p = SharedContexts.getAMQP_P2P_CONTEXT().withoutCarpenter();
        if (!serializers.isEmpty()) {
            p2p = p2p.withCustomSerializers(serializers);
        }
        for (Class<?> each : allowed) {
            p2p = p2p.withWhitelisted(each);
        }
        setNodeSerializationEnv(SerializationEnvironment.Companion.with(factory, p2p, null, null, null, null, null));
        context = p2p;
    }

    public static <T> T deserialize(byte[] bytes, Class<T> type) throws NotSerializableException {
        return factory().deserialize(new SerializedBytes<T>(bytes), type, context);
    }

    public static byte[] serialize(Object value) {
        return factory().serialize(value, context).getBytes();
    }

    private static SerializationFactory factory() {
        return SerializationFactory.Companion.getDefaultFactory();
    }

    /** The name of the class that AMQP bytes hold, without loading it. */
    public static String typeOf(byte[] bytes) throws NotSerializableException {
        Outline.check(new OpaqueBytes(bytes));
        Envelope envelope = new DeserializationInput(SCHEME.getSerializerFactory(context))
                .getEnvelope(new OpaqueBytes(bytes), context);
        if (!(envelope.getObj() instanceof DescribedType object)) {
            throw new NotSerializableException("the component is no described type");
        }
        String descriptor = String.valueOf(object.getDescriptor());
        for (TypeNotation type : envelope.getSchema().getTypes()) {
            if (descriptor.equals(String.valueOf(type.getDescriptor().getName()))) {
                return type.getName();
            }
        }
        throw new NotSerializableException("the component's type is not in its schema");
    }

    /** An attachment without code, or with it: then with the contracts in it, in any order. */
    public static Attachment attachment(byte[] content, Set<String> contracts, List<PublicKey> signers, int version) {
        // Corda's constraints take no attachment of an origin that it does not trust. Here origin says nothing: trust is
        // told with each request, and checked before an attachment gets this far.
        String uploader = AbstractAttachmentKt.DEPLOYED_CORDAPP_UPLOADER;
        Attachment attachment = new GeneratedAttachment(content, uploader);
        if (contracts.isEmpty()) {
            return attachment;
        }
        List<String> names = new ArrayList<>(new TreeSet<>(contracts));
        Set<String> additional = new LinkedHashSet<>(names.subList(1, names.size()));
        return ContractAttachment.Companion.create(attachment, names.get(0), additional, uploader, signers, version);
    }

    /** Keys of those who signed every entry that can be signed; raises where entries differ in it. */
    public static List<PublicKey> signersOf(byte[] jar) throws IOException {
        try (JarInputStream entries = new JarInputStream(new ByteArrayInputStream(jar))) {
            // A certificate's key is the JVM's own object, which equals none that Corda reads from a constraint.
            return JarSignatureCollector.INSTANCE.collectSigners(entries).stream().map(Crypto::toSupportedPublicKey).toList();
        }
    }

    /**
     * Runs the platform's rules and the contracts; raises what Corda raises.
     *
     * <p>The transaction is put together anew among the classes of its attachments: Corda looks at its commands also
     * outside the contracts' class loader, and a node has the carpenter or a class path for that.
     *
     * @param trusted matters only when the class loader of these attachments is made: that is kept
     * @return the outputs, as their own classes
     */
    public List<TransactionState<ContractState>> verify(
            WireTransaction transaction,
            Map<SecureHash, Attachment> attachments,
            Map<StateRef, SerializedBytes<TransactionState<ContractState>>> states,
            NetworkParameters parameters,
            Predicate<Attachment> trusted) {
        Function1<PublicKey, Party> identity = key -> null;
        Function1<SecureHash, Attachment> attachment = attachments::get;
        Function1<StateRef, SerializedBytes<TransactionState<ContractState>>> state = states::get;
        Function1<SecureHash, NetworkParameters> parametersOf = hash -> parameters;
        Function1<Attachment, Boolean> trust = trusted::test;
        List<Attachment> sources = List.copyOf(attachments.values());
        return withClassesOf(sources, parameters, transaction.getId(), trusted, classes -> {
            WireTransaction among = new WireTransaction(
                    transaction.getComponentGroups(), transaction.getPrivacySalt(), transaction.getDigestService());
            share(MERKLE_TREE, transaction, among);
            LedgerTransaction resolved = (LedgerTransaction) invoke(
                    TO_LEDGER_TRANSACTION, among, identity, attachment, state, parametersOf, trust, classLoaders);
            try {
                resolved.verify();
            } catch (TransactionVerificationException invalid) {
                throw Corda.<RuntimeException>asItIs(invalid);
            }
            return List.copyOf(among.getOutputs());
        });
    }

    /** Runs a block with the classes of attachments; `trusted` matters only when their class loader is made. */
    public <T> T withClassesOf(
            List<Attachment> attachments,
            NetworkParameters parameters,
            SecureHash txId,
            Predicate<Attachment> trusted,
            Function<SerializationContext, T> block) {
        Function1<Attachment, Boolean> trust = trusted::test;
        Function1<SerializationContext, T> inside = block::apply;
        return AttachmentsClassLoaderBuilder.INSTANCE.withAttachmentsClassloaderContext(
                attachments, parameters, txId, trust, ClassLoader.getSystemClassLoader(), classLoaders, inside);
    }

    /** The bytes of a group's components. */
    public static List<byte[]> components(WireTransaction transaction, ComponentGroupEnum group) {
        List<byte[]> components = new ArrayList<>();
        for (ComponentGroup each : transaction.getComponentGroups()) {
            if (each.getGroupIndex() == group.ordinal()) {
                each.getComponents().forEach(component -> components.add(component.getBytes()));
            }
        }
        return components;
    }

    /**
     * The same transaction with some components and Merkle hashes in place of the others.
     *
     * <p>Corda's own way asks a predicate about each component as an object; this one takes bytes, so that no class of
     * a contract is needed to hide or to show its states.
     */
    public static FilteredTransaction filter(WireTransaction transaction, Map<Integer, Set<Integer>> shown)
            throws MerkleTreeException {
        @SuppressWarnings("unchecked")
        Map<Integer, List<SecureHash>> hashes = (Map<Integer, List<SecureHash>>) invoke(HASHES, transaction);
        @SuppressWarnings("unchecked")
        Map<Integer, List<SecureHash>> nonces = (Map<Integer, List<SecureHash>>) invoke(NONCES, transaction);
        @SuppressWarnings("unchecked")
        List<SecureHash> groupHashes = (List<SecureHash>) invoke(GROUP_HASHES, transaction);
        List<FilteredComponentGroup> groups = new ArrayList<>();
        for (ComponentGroup group : transaction.getComponentGroups()) {
            int number = group.getGroupIndex();
            List<OpaqueBytes> components = new ArrayList<>();
            List<SecureHash> shownNonces = new ArrayList<>();
            List<SecureHash> shownHashes = new ArrayList<>();
            for (int index : new TreeSet<>(shown.getOrDefault(number, Set.of()))) {
                if (index < group.getComponents().size()) {
                    components.add(group.getComponents().get(index));
                    shownNonces.add(nonces.get(number).get(index));
                    shownHashes.add(hashes.get(number).get(index));
                }
            }
            if (!components.isEmpty()) {
                MerkleTree tree = MerkleTree.Companion.getMerkleTree(hashes.get(number), transaction.getDigestService());
                groups.add(new FilteredComponentGroup(
                        number, components, shownNonces, PartialMerkleTree.Companion.build(tree, shownHashes)));
            }
        }
        return new FilteredTransaction(transaction.getId(), groups, groupHashes, transaction.getDigestService());
    }

    /** The parts of a transaction that is to be made, in Corda's groups. */
    public static List<ComponentGroup> componentGroups(
            List<StateRef> inputs,
            List<TransactionState<ContractState>> outputs,
            List<Command<?>> commands,
            List<SecureHash> attachments,
            Party notary,
            TimeWindow timeWindow,
            List<StateRef> references,
            SecureHash networkParameters) {
        start();
        return TransactionUtilsKt.createComponentGroups(
                inputs, outputs, commands, attachments, notary, timeWindow, references, networkParameters);
    }

    /** Gives the one what the other found out, or will: both are of the same components. */
    private static void share(Field lazy, Object from, Object to) {
        try {
            lazy.set(to, lazy.get(from));
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static Object invoke(Method method, Object target, Object... arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException raised) {
            throw Corda.<RuntimeException>asItIs(raised.getCause());
        } catch (IllegalAccessException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** Kotlin declares no exception, so what Corda raises comes through code that declares none. */
    @SuppressWarnings("unchecked")
    private static <T extends Throwable> T asItIs(Throwable error) throws T {
        throw (T) error;
    }

    private static Field field(Class<?> type, String name) {
        try {
            Field found = type.getDeclaredField(name);
            found.setAccessible(true);
            return found;
        } catch (NoSuchFieldException missing) {
            throw new IllegalStateException("this Corda has no " + type.getSimpleName() + "." + name, missing);
        }
    }

    private static Method method(Class<?> type, String name, int parameters) {
        return Arrays.stream(type.getDeclaredMethods())
                .filter(each -> each.getName().equals(name) && each.getParameterCount() == parameters)
                .peek(each -> each.setAccessible(true))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(
                        "this Corda has no " + type.getSimpleName() + "." + name + " with " + parameters + " parameters"));
    }

    /** AMQP between peers, which is what transactions are made of; RPC's two forms are not spoken here. */
    private static final class Scheme extends AbstractAMQPSerializationScheme {
        private static final int DECODED_MAX = 4_096;

        /**
         * Keys and certificates by their bytes. Corda keeps them for one set of attachments at a time, in maps without
         * a bound; to find the point of an Ed25519 key costs as much as a signature, and one transaction names its
         * keys several times.
         */
        private final Map<Object, Object> decoded =
                CacheBuilder.newBuilder().maximumSize(DECODED_MAX).build().asMap();

        Scheme() {
            super(List.of());
        }

        @Override
        public <T> T deserialize(ByteSequence bytes, Class<T> type, SerializationContext within) {
            try {
                Outline.check(bytes);
            } catch (NotSerializableException malformed) {
                throw Corda.<RuntimeException>asItIs(malformed);
            }
            return super.deserialize(bytes, type, within.withProperty(DESERIALIZATION_CACHE_PROPERTY, decoded));
        }

        @Override
        public boolean canDeserializeVersion(CordaSerializationMagic magic, SerializationContext.UseCase useCase) {
            return canDeserializeVersion(magic) && useCase == SerializationContext.UseCase.P2P;
        }

        @Override
        protected SerializerFactory rpcClientSerializerFactory(SerializationContext context) {
            throw new UnsupportedOperationException("RPC is not spoken here");
        }

        @Override
        protected SerializerFactory rpcServerSerializerFactory(SerializationContext context) {
            throw new UnsupportedOperationException("RPC is not spoken here");
        }
    }
}
