package coco.corda.service;

import coco.corda.wire.Failed;
import coco.corda.wire.Request;
import coco.corda.wire.Response;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;

/**
 * One adapter's connection: frames in, answers out in the order they are ready.
 *
 * <p>Channels are read and written themselves, not as streams: a stream's read would hold the lock its write needs.
 */
final class Connection implements Runnable {
    private final SocketChannel channel;
    private final Operations operations;
    private final ExecutorService workers;
    private final Limits limits;
    private final Object writing = new Object();

    Connection(SocketChannel channel, Operations operations, ExecutorService workers, Limits limits) {
        this.channel = channel;
        this.operations = operations;
        this.workers = workers;
        this.limits = limits;
    }

    @Override
    public void run() {
        try (channel) {
            ByteBuffer header = ByteBuffer.allocate(Integer.BYTES);
            while (fill(header.clear())) {
                int length = header.flip().getInt();
                if (length < 0 || length > limits.frameBytes()) {
                    refuse(Failed.Code.TOO_LARGE, "a frame has no more than " + limits.frameBytes() + " bytes");
                    return;
                }
                ByteBuffer frame = ByteBuffer.allocate(length);
                if (!fill(frame)) {
                    return;
                }
                Request request;
                try {
                    request = Request.parseFrom(frame.flip());
                } catch (InvalidProtocolBufferException error) {
                    refuse(Failed.Code.MALFORMED, "the frame is no request");
                    return;
                }
                submit(request);
            }
        } catch (IOException closed) {
            // The adapter is gone; what it asked is answered to nobody.
        } catch (OutOfMemoryError exhausted) {
            Main.halt();
        }
    }

    private void submit(Request request) throws IOException {
        try {
            workers.execute(() -> perform(request));
        } catch (RejectedExecutionException full) {
            write(Response.newBuilder()
                    .setId(request.getId())
                    .setFailed(Failed.newBuilder()
                            .setCode(Failed.Code.OVERLOADED)
                            .setMessage("more than " + limits.queuedRequests() + " requests wait"))
                    .build());
        }
    }

    private void perform(Request request) {
        try {
            write(operations.answer(request));
        } catch (IOException closed) {
            // As above.
        } catch (OutOfMemoryError exhausted) {
            Main.halt();
        }
    }

    private void refuse(Failed.Code code, String message) throws IOException {
        write(Response.newBuilder().setFailed(Failed.newBuilder().setCode(code).setMessage(message)).build());
    }

    private void write(Response response) throws IOException {
        byte[] message = response.toByteArray();
        ByteBuffer frame = ByteBuffer.allocate(Integer.BYTES + message.length).putInt(message.length).put(message).flip();
        synchronized (writing) {
            while (frame.hasRemaining()) {
                channel.write(frame);
            }
        }
    }

    /** @return whether the buffer could be filled before the end of the stream. */
    private boolean fill(ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            if (channel.read(buffer) < 0) {
                return false;
            }
        }
        return true;
    }
}
