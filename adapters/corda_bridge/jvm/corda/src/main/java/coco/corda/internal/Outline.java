package coco.corda.internal;

import java.io.NotSerializableException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import net.corda.core.utilities.ByteSequence;

/**
 * Whether bytes are AMQP at all: every length and count in them is of what is there, and nesting and values are bounded.
 *
 * <p>The library that Corda reads AMQP with makes room for what a length says before it looks whether so much follows: a few
 * bytes of a stranger would exhaust the heap of a worker that many share. AMQP 1.0, part 1, section 1.2 says how values are
 * encoded; arrays, which Corda writes none of, are taken with elements that have no parts.
 */
final class Outline {
    /** Values in one blob. Each costs a hundred bytes of heap, however short it is. */
    private static final int VALUES = 500_000;
    /** Lists, maps and described values in each other: an object is two. Reading them takes stack. */
    private static final int DEPTH = 512;
    /** Corda's magic number and the section's; what follows a section of another kind Corda does not take. */
    private static final int HEAD = 8;
    private static final int SECTION_AT = 7;
    private static final int LAST_DATA_SECTION = 1;

    private final ByteBuffer bytes;
    private final Deque<Part> open = new ArrayDeque<>();
    private int values;

    /** Something that has values in it: how many are to come, and where they must end, or -1. */
    private static final class Part {
        private int left;
        private final int end;

        Part(int left, int end) {
            this.left = left;
            this.end = end;
        }
    }

    private Outline(ByteBuffer bytes) {
        this.bytes = bytes;
    }

    static void check(ByteSequence sequence) throws NotSerializableException {
        ByteBuffer bytes = ByteBuffer.wrap(sequence.getBytes(), sequence.getOffset(), sequence.getSize()).slice();
        if (bytes.limit() < HEAD || bytes.get(SECTION_AT) > LAST_DATA_SECTION) {
            return;
        }
        try {
            new Outline(bytes.position(HEAD)).read();
        } catch (BufferUnderflowException shorter) {
            throw new NotSerializableException("it is cut off");
        }
    }

    private void read() throws NotSerializableException {
        open.push(new Part(1, -1));
        while (!open.isEmpty()) {
            Part part = open.peek();
            if (part.left > 0) {
                part.left--;
                value();
            } else if (part.end >= 0 && bytes.position() != part.end) {
                throw new NotSerializableException("a list ends elsewhere than it says");
            } else {
                open.pop();
            }
        }
    }

    private void value() throws NotSerializableException {
        if (++values > VALUES || open.size() > DEPTH) {
            throw new NotSerializableException("it has more than " + VALUES + " values, or they are nested deeper than " + DEPTH);
        }
        int code = Byte.toUnsignedInt(bytes.get());
        switch (code >> 4) {
            // A described value: its descriptor, and itself.
            case 0x0 -> open.push(new Part(2, -1));
            case 0x4, 0x5, 0x6, 0x7, 0x8, 0x9 -> skip(width(code));
            case 0xa -> skip(Byte.toUnsignedLong(bytes.get()));
            case 0xb -> skip(Integer.toUnsignedLong(bytes.getInt()));
            case 0xc, 0xd -> {
                boolean small = code >> 4 == 0xc;
                int end = end(small);
                open.push(new Part(count(small, end), end));
            }
            case 0xe, 0xf -> array(code >> 4 == 0xe);
            default -> throw new NotSerializableException("it holds what is no value of AMQP");
        }
    }

    private void array(boolean small) throws NotSerializableException {
        int end = end(small);
        int count = count(small, end);
        int code = Byte.toUnsignedInt(bytes.get());
        values += count;
        switch (code >> 4) {
            case 0x4, 0x5, 0x6, 0x7, 0x8, 0x9 -> skip((long) count * width(code));
            case 0xa, 0xb -> {
                for (int number = 0; number < count; number++) {
                    skip(code >> 4 == 0xa ? Byte.toUnsignedLong(bytes.get()) : Integer.toUnsignedLong(bytes.getInt()));
                }
            }
            default -> throw new NotSerializableException("it has an array of what has parts");
        }
        if (bytes.position() != end || values > VALUES) {
            throw new NotSerializableException("an array ends elsewhere than it says");
        }
    }

    /** Where what begins here ends, by the size that is next. */
    private int end(boolean small) throws NotSerializableException {
        long size = small ? Byte.toUnsignedLong(bytes.get()) : Integer.toUnsignedLong(bytes.getInt());
        if (size > bytes.remaining()) {
            throw new NotSerializableException("it says that more follows than does");
        }
        return bytes.position() + (int) size;
    }

    /** The count that is next. An element has a byte at least but in arrays, where it may have none and counts as one. */
    private int count(boolean small, int end) throws NotSerializableException {
        long count = small ? Byte.toUnsignedLong(bytes.get()) : Integer.toUnsignedLong(bytes.getInt());
        if (count > end - bytes.position()) {
            throw new NotSerializableException("it says that more follows than does");
        }
        return (int) count;
    }

    private void skip(long size) throws NotSerializableException {
        if (size > bytes.remaining()) {
            throw new NotSerializableException("it says that more follows than does");
        }
        bytes.position(bytes.position() + (int) size);
    }

    /** Of what has always as many bytes: none, 1, 2, 4, 8 or 16, as the first half of its code says. */
    private static int width(int code) {
        int step = code >> 4;
        return step == 0x4 ? 0 : 1 << (step - 0x5);
    }
}
