package coco.corda.cordapp;

import static org.objectweb.asm.Opcodes.ACC_ABSTRACT;
import static org.objectweb.asm.Opcodes.ACC_NATIVE;
import static org.objectweb.asm.Opcodes.ALOAD;
import static org.objectweb.asm.Opcodes.ARETURN;
import static org.objectweb.asm.Opcodes.ASM7;
import static org.objectweb.asm.Opcodes.ASTORE;
import static org.objectweb.asm.Opcodes.DUP;
import static org.objectweb.asm.Opcodes.GETFIELD;
import static org.objectweb.asm.Opcodes.INVOKESTATIC;
import static org.objectweb.asm.Opcodes.RETURN;

import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.security.ProtectionDomain;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;

/**
 * Has the worker asked wherever a test has Corda verify a transaction: a Java agent for the JVM that runs the tests.
 *
 * <p>Four places of Corda's own classes are changed as they are loaded, each by one call to a class here, so that tests and
 * CorDapps need no change at all: where a transaction is verified ({@link Verdicts}), where a test's attachments are made up
 * and where its transactions are put together ({@link Cordapps}), and where key pairs are made ({@link Keys}).
 */
public final class Agent {
    private static final String HERE = "coco/corda/cordapp/";
    private static final String STORAGE = "net/corda/testing/services/MockAttachmentStorage";
    private static final String INTERPRETER = "net/corda/testing/dsl/TestTransactionDSLInterpreter";
    private static final String SERVICES = "net/corda/core/node/ServicesForResolution";
    private static final String LEDGER_TRANSACTION = "net/corda/core/transactions/LedgerTransaction";

    /** What is changed, by method: class, name and descriptor as they are in the class file. */
    private static final Map<String, UnaryOperator<MethodVisitor>> CHANGES = Map.of(
            LEDGER_TRANSACTION + ".verify()V", Agent::verifyByVerdicts,
            STORAGE + ".importAttachmentInternal(Ljava/io/InputStream;Ljava/lang/String;Ljava/util/List;"
                    + "Lnet/corda/core/crypto/SecureHash;Ljava/util/List;)Lnet/corda/core/crypto/SecureHash;",
            Agent::importCordapps,
            INTERPRETER + ".toWireTransaction$test_utils()Lnet/corda/core/transactions/WireTransaction;",
            Agent::attachCordapps);

    private static final String CRYPTO = "net/corda/core/crypto/Crypto";
    private static final Set<String> CHANGED = Set.of(LEDGER_TRANSACTION, STORAGE, INTERPRETER, CRYPTO);

    private Agent() {}

    public static void premain(String options, Instrumentation instrumentation) {
        instrumentation.addTransformer(new ClassFileTransformer() {
            @Override
            public byte[] transform(
                    ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] classFile) {
                return CHANGED.contains(name) ? changed(name, classFile) : null;
            }
        });
    }

    /** Ends the JVM where a place is not there: tests would pass without the worker having been asked. */
    private static byte[] changed(String name, byte[] classFile) {
        Set<String> places = new HashSet<>();
        ClassReader reader = new ClassReader(classFile);
        ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
        reader.accept(new ClassVisitor(ASM7, writer) {
            @Override
            public MethodVisitor visitMethod(
                    int access, String method, String descriptor, String signature, String[] exceptions) {
                MethodVisitor as = super.visitMethod(access, method, descriptor, signature, exceptions);
                if ((access & (ACC_ABSTRACT | ACC_NATIVE)) != 0) {
                    return as;
                }
                String place = name + "." + method + descriptor;
                if (CHANGES.containsKey(place)) {
                    places.add(place);
                    return CHANGES.get(place).apply(as);
                }
                if (name.equals(CRYPTO) && descriptor.endsWith(")Ljava/security/KeyPair;")) {
                    places.add(CRYPTO);
                    return rememberingKeys(as);
                }
                return as;
            }
        }, 0);
        if (places.size() != 1) {
            System.err.println("this Corda's " + name.replace('/', '.') + " is another than the one this was made for");
            Runtime.getRuntime().halt(70);
        }
        return writer.toByteArray();
    }

    /** Puts a body in place of the method's own. */
    private static MethodVisitor verifyByVerdicts(MethodVisitor method) {
        method.visitCode();
        method.visitVarInsn(ALOAD, 0);
        method.visitMethodInsn(INVOKESTATIC, HERE + "Verdicts", "verify", "(L" + LEDGER_TRANSACTION + ";)V", false);
        method.visitInsn(RETURN);
        method.visitMaxs(0, 0);
        method.visitEnd();
        return null;
    }

    /** Exchanges three of the arguments before the method begins: the content, its contracts, its signers. */
    private static MethodVisitor importCordapps(MethodVisitor method) {
        return new MethodVisitor(ASM7, method) {
            @Override
            public void visitCode() {
                super.visitCode();
                exchange(1, "content", "(Ljava/io/InputStream;Ljava/util/List;Lnet/corda/core/crypto/SecureHash;)Ljava/io/InputStream;");
                exchange(5, "signers", "(Ljava/util/List;Ljava/util/List;Lnet/corda/core/crypto/SecureHash;)Ljava/util/List;");
                exchange(3, "contracts", "(Ljava/util/List;Ljava/util/List;Lnet/corda/core/crypto/SecureHash;)Ljava/util/List;");
            }

            private void exchange(int argument, String by, String descriptor) {
                super.visitVarInsn(ALOAD, argument);
                super.visitVarInsn(ALOAD, 3);
                super.visitVarInsn(ALOAD, 4);
                super.visitMethodInsn(INVOKESTATIC, HERE + "Cordapps", by, descriptor, false);
                super.visitVarInsn(ASTORE, argument);
            }
        };
    }

    private static MethodVisitor attachCordapps(MethodVisitor method) {
        return new MethodVisitor(ASM7, method) {
            @Override
            public void visitCode() {
                super.visitCode();
                super.visitVarInsn(ALOAD, 0);
                super.visitVarInsn(ALOAD, 0);
                super.visitFieldInsn(GETFIELD, INTERPRETER, "services", "L" + SERVICES + ";");
                super.visitMethodInsn(
                        INVOKESTATIC, HERE + "Cordapps", "attach", "(L" + INTERPRETER + ";L" + SERVICES + ";)V", false);
            }
        };
    }

    private static MethodVisitor rememberingKeys(MethodVisitor method) {
        return new MethodVisitor(ASM7, method) {
            @Override
            public void visitInsn(int instruction) {
                if (instruction == ARETURN) {
                    super.visitInsn(DUP);
                    super.visitMethodInsn(INVOKESTATIC, HERE + "Keys", "remember", "(Ljava/security/KeyPair;)V", false);
                }
                super.visitInsn(instruction);
            }
        };
    }
}
