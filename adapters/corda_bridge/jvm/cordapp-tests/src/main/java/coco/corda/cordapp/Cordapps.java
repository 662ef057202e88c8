package coco.corda.cordapp;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import net.corda.core.contracts.Contract;
import net.corda.core.contracts.StateRef;
import net.corda.core.contracts.TransactionResolutionException;
import net.corda.core.crypto.Crypto;
import net.corda.core.crypto.SecureHash;
import net.corda.core.internal.JarSignatureCollector;
import net.corda.core.node.ServicesForResolution;
import net.corda.core.node.services.AttachmentStorage;
import net.corda.core.transactions.TransactionBuilder;
import net.corda.testing.dsl.TestTransactionDSLInterpreter;

/**
 * The CorDapps' JARs, in place of what Corda's tests make up.
 *
 * <p>R3's MockServices attach a file that only has a contract's name, or classes of one package, and take the classes from
 * the class path. A worker has no other classes than an attachment brings, so a test's transactions name the JARs themselves:
 * those on the class path that hold the contracts.
 */
public final class Cordapps {
    /** Paths of the JARs that every transaction has beside its contracts' own, for the classes these need. */
    static final String BESIDE = "coco.cordapps.beside";

    private record Jar(byte[] content, List<String> contracts, List<PublicKey> signers) {}

    private static final Map<List<Path>, Jar> READ = new ConcurrentHashMap<>();

    private Cordapps() {}

    /** Called as an attachment is imported: its content, or that of the JAR that holds these contracts. */
    public static InputStream content(InputStream made, List<String> contracts, SecureHash id) {
        Jar jar = holding(contracts, id);
        return jar == null ? made : new ByteArrayInputStream(jar.content());
    }

    public static List<String> contracts(List<String> made, List<String> contracts, SecureHash id) {
        Jar jar = holding(contracts, id);
        return jar == null ? made : jar.contracts();
    }

    public static List<PublicKey> signers(List<PublicKey> made, List<String> contracts, SecureHash id) {
        Jar jar = holding(contracts, id);
        return jar == null ? made : jar.signers();
    }

    /**
     * Called before a transaction is put together: attaches the JARs beside, and those with the classes of its states and
     * commands. A test makes some of them up, to be refused; MockServices attach only what contracts are in.
     */
    public static void attach(TestTransactionDSLInterpreter transaction, ServicesForResolution services) {
        Set<Path> jars = new LinkedHashSet<>();
        Stream.of(System.getProperty(BESIDE, "").split(File.pathSeparator)).filter(path -> !path.isEmpty())
                .map(Path::of).forEach(jars::add);
        TransactionBuilder builder = transaction.getTransactionBuilder();
        builder.commands().forEach(command -> addJarOf(command.getValue().getClass(), jars));
        builder.outputStates().forEach(state -> addJarOf(state.getData().getClass(), jars));
        Stream.concat(builder.inputStates().stream(), builder.referenceStates().stream())
                .forEach(ref -> addJarOf(stateClass(services, ref), jars));
        AttachmentStorage storage = services.getAttachments();
        List<SecureHash> attached = attachmentsOf(builder);
        // Two contracts of one JAR were two files that a test attached.
        List<SecureHash> once = new ArrayList<>(new LinkedHashSet<>(attached));
        for (Path path : jars) {
            Jar jar = READ.computeIfAbsent(List.of(path), each -> read(path));
            SecureHash id = SecureHash.sha256(jar.content());
            if (!storage.hasAttachment(id)) {
                importTrusted(storage, jar);
            }
            if (!once.contains(id)) {
                once.add(id);
            }
        }
        attached.clear();
        attached.addAll(once);
    }

    /** The builder's own list: what it shows is a copy. */
    @SuppressWarnings("unchecked")
    private static List<SecureHash> attachmentsOf(TransactionBuilder builder) {
        try {
            Field attachments = TransactionBuilder.class.getDeclaredField("attachments");
            attachments.setAccessible(true);
            return (List<SecureHash>) attachments.get(builder);
        } catch (ReflectiveOperationException absent) {
            throw new IllegalStateException("this Corda's builder is another than the one this was made for", absent);
        }
    }

    private static Class<?> stateClass(ServicesForResolution services, StateRef ref) {
        try {
            return services.loadState(ref).getData().getClass();
        } catch (TransactionResolutionException unknown) {
            throw new IllegalStateException("the test uses a state that is in no transaction of its", unknown);
        }
    }

    /** Corda's own classes are the worker's, too. */
    private static void addJarOf(Class<?> type, Set<Path> jars) {
        Path jar = pathOf(type.getName());
        if (jar != null && !jar.equals(pathOf(Contract.class.getName()))) {
            jars.add(jar);
        }
    }

    private static void importTrusted(AttachmentStorage storage, Jar jar) {
        try {
            storage.importAttachment(new ByteArrayInputStream(jar.content()), "app", null);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Null for data, and where a test says the hash itself: no JAR has it, so what the test made up stays. */
    private static Jar holding(List<String> contracts, SecureHash id) {
        if (contracts == null || contracts.isEmpty() || id != null) {
            return null;
        }
        List<Path> paths = contracts.stream().map(Cordapps::pathOf).filter(Objects::nonNull).distinct().sorted().toList();
        return paths.isEmpty() ? null : READ.computeIfAbsent(paths, jars -> jars.size() == 1 ? read(jars.get(0)) : packed(jars));
    }

    private static Path pathOf(String type) {
        try {
            CodeSource source = Class.forName(type, false, Cordapps.class.getClassLoader()).getProtectionDomain().getCodeSource();
            Path path = source == null ? null : Path.of(source.getLocation().toURI());
            return path != null && Files.isRegularFile(path) ? path : null;
        } catch (ClassNotFoundException | LinkageError | URISyntaxException absent) {
            return null;
        }
    }

    private static Jar read(Path jar) {
        try (JarFile file = new JarFile(jar.toFile()); JarInputStream entries = new JarInputStream(Files.newInputStream(jar))) {
            List<PublicKey> signers = JarSignatureCollector.INSTANCE.collectSigners(entries).stream()
                    .map(Crypto::toSupportedPublicKey).toList();
            return new Jar(Files.readAllBytes(jar), contractsIn(file), signers);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /**
     * One JAR of several, signed by nobody: MockServices make one CorDapp of all that is in the packages they are told.
     *
     * <p>It says of itself what the first of them does: which platform version it is for decides what Corda enforces.
     */
    private static Jar packed(List<Path> jars) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        TreeSet<String> contracts = new TreeSet<>();
        Set<String> names = new HashSet<>();
        try (JarOutputStream output = new JarOutputStream(content, manifestOf(jars.get(0)))) {
            for (Path jar : jars) {
                try (JarFile file = new JarFile(jar.toFile(), false)) {
                    contracts.addAll(contractsIn(file));
                    for (JarEntry entry : file.stream().filter(each -> !each.getName().startsWith("META-INF/")).toList()) {
                        if (names.add(entry.getName())) {
                            output.putNextEntry(new ZipEntry(entry.getName()));
                            file.getInputStream(entry).transferTo(output);
                        }
                    }
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return new Jar(content.toByteArray(), List.copyOf(contracts), List.of());
    }

    private static Manifest manifestOf(Path jar) throws IOException {
        try (JarFile file = new JarFile(jar.toFile(), false)) {
            Manifest manifest = file.getManifest() == null ? new Manifest() : file.getManifest();
            manifest.getMainAttributes().putIfAbsent(Attributes.Name.MANIFEST_VERSION, "1.0");
            manifest.getEntries().clear();
            return manifest;
        }
    }

    private static List<String> contractsIn(JarFile jar) {
        TreeSet<String> contracts = new TreeSet<>();
        try (Stream<JarEntry> entries = jar.stream()) {
            entries.map(JarEntry::getName).filter(name -> name.endsWith(".class") && !name.startsWith("META-INF/"))
                    .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                    .filter(Cordapps::isContract).forEach(contracts::add);
        }
        return new ArrayList<>(contracts);
    }

    private static boolean isContract(String name) {
        try {
            Class<?> type = Class.forName(name, false, Cordapps.class.getClassLoader());
            return Contract.class.isAssignableFrom(type) && !java.lang.reflect.Modifier.isAbstract(type.getModifiers());
        } catch (ClassNotFoundException | LinkageError absent) {
            return false;
        }
    }
}
