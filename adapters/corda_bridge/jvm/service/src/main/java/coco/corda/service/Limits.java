package coco.corda.service;

/** Every bound of the worker: what a caller, a transaction or a CorDapp can make it hold is finite. */
public record Limits(int threads, int queuedRequests, int frameBytes) {
    /** Of the code and data that transactions name; governance decides what is registered at all. */
    static final int ATTACHMENTS = 1_024;
    static final long ATTACHMENT_BYTES_TOTAL = 1L << 30;
    static final int ATTACHMENT_ENTRIES = 65_536;
    static final long ATTACHMENT_BYTES_UNPACKED = 256L << 20;
    /** Of one class, which is read whole; Java's own format hardly allows more. */
    static final int CLASS_BYTES = 8 << 20;
    /** Signatures on a transaction, and the keys of RSA among them: checking one must not take seconds. */
    static final int SIGNATURES = 1_000;
    static final int RSA_MODULUS_BITS = 8_192;
    static final int RSA_EXPONENT_BITS = 64;
    static final int NETWORK_PARAMETERS = 1_024;
    /** Class loaders kept: one for each set of attachments under each network parameters. */
    static final int CLASS_LOADERS = 256;
    static final int CONNECTIONS = 64;
    static final int CAUSES = 16;
    static final int MESSAGE_CHARACTERS = 2_000;
    static final long EXIT_MS = 3_000;

    public static final Limits DEFAULT =
            new Limits(Math.max(2, Runtime.getRuntime().availableProcessors()), 1_024, 32 << 20);

    public Limits {
        if (threads < 1 || threads > 256) {
            throw new IllegalArgumentException("threads must be from 1 to 256, not " + threads);
        }
        if (queuedRequests < 1 || queuedRequests > 1 << 20) {
            throw new IllegalArgumentException("the queue must hold from 1 to 1048576 requests, not " + queuedRequests);
        }
        if (frameBytes < 1 << 10 || frameBytes > 1 << 30) {
            throw new IllegalArgumentException("a frame must have from 1024 bytes to 1 GiB, not " + frameBytes);
        }
    }
}
