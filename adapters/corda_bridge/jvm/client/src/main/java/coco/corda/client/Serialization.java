package coco.corda.client;

import coco.corda.internal.Corda;
import java.util.HashSet;
import java.util.ServiceLoader;
import java.util.Set;
import net.corda.core.serialization.SerializationCustomSerializer;
import net.corda.core.serialization.SerializationWhitelist;

/**
 * Corda's serialization in this JVM, set up once.
 *
 * <p>It happens by itself. Only a CorDapp with serializers of its own says so before anything else: the network finds them in
 * the CorDapp's JAR, a program that makes its transactions does not look. Classes that may be serialized though they do not say
 * so are those of each {@link SerializationWhitelist} that a JAR names in META-INF/services, as Corda has it.
 */
public final class Serialization {
    private static boolean started;

    private Serialization() {}

    /** @throws IllegalStateException where serializers are said when it was set up already, or in a JVM that Corda does not run on */
    public static synchronized void start(SerializationCustomSerializer<?, ?>... serializers) {
        if (started && serializers.length == 0) {
            return;
        }
        Set<Class<?>> allowed = new HashSet<>();
        ServiceLoader.load(SerializationWhitelist.class).forEach(each -> allowed.addAll(each.getWhitelist()));
        Corda.start(Set.of(serializers), allowed);
        started = true;
    }
}
