package coco.hostile;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import net.corda.core.contracts.BelongsToContract;
import net.corda.core.contracts.CommandData;
import net.corda.core.contracts.Contract;
import net.corda.core.contracts.ContractState;
import net.corda.core.identity.AbstractParty;
import net.corda.core.identity.Party;
import net.corda.core.transactions.LedgerTransaction;

/** A contract that does what no contract should, as its command says: to see what the network makes of it. */
public class Hostile implements Contract {
    public static class Do implements CommandData {
        private final String deed;

        public Do(String deed) {
            this.deed = deed;
        }

        public String getDeed() {
            return deed;
        }
    }

    @BelongsToContract(Hostile.class)
    public static class State implements ContractState {
        private final Party owner;

        public State(Party owner) {
            this.owner = owner;
        }

        public Party getOwner() {
            return owner;
        }

        @Override
        public List<AbstractParty> getParticipants() {
            return Collections.singletonList(owner);
        }
    }

    @Override
    public void verify(LedgerTransaction transaction) {
        Do command = (Do) transaction.getCommands().get(0).getValue();
        switch (command.getDeed()) {
            case "nothing":
                return;
            case "halt":
                Runtime.getRuntime().halt(9);
                return;
            case "exit":
                System.exit(8);
                return;
            case "loop":
                while (true) {
                    Thread.yield();
                }
            case "exhaust":
                List<byte[]> held = new ArrayList<>();
                while (true) {
                    held.add(new byte[1 << 20]);
                }
            case "overflow":
                deeper(0);
                return;
            case "environment":
                throw new IllegalArgumentException("environment: " + System.getenv().keySet());
            case "files":
                throw new IllegalArgumentException("files: " + read("/etc/hostname") + " " + read("/proc/self/environ"));
            case "write":
                throw new IllegalArgumentException("write: " + write("/tmp/hostile"));
            case "print":
                System.out.println("ready to lie");
                System.err.println("ready to lie");
                return;
            case "sabotage":
                suspendOthers();
                return;
            case "lie":
                throw new Unreadable();
            default:
                throw new IllegalArgumentException("no such deed: " + command.getDeed());
        }
    }

    /** Who comes after it in this JVM waits for ever. */
    private static void suspendOthers() {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread != Thread.currentThread()) {
                thread.suspend();
            }
        }
    }

    private static int deeper(int depth) {
        return deeper(depth + 1) + 1;
    }

    private static String read(String path) {
        try {
            return path + " has " + Files.readAllBytes(Paths.get(path)).length + " bytes";
        } catch (IOException | SecurityException denied) {
            return path + " is not readable";
        }
    }

    private static String write(String path) {
        try {
            Files.write(Paths.get(path), "hostile".getBytes(StandardCharsets.UTF_8));
            return path + " is written";
        } catch (IOException | SecurityException denied) {
            return path + " is not writable";
        }
    }

    /** An exception that cannot be asked for its message. */
    private static final class Unreadable extends RuntimeException {
        @Override
        public String getMessage() {
            throw new IllegalStateException("not telling");
        }
    }
}
