package coco.corda.acceptance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The golden vectors are what Corda's classes make today: a serialisation that changed shows here first. */
class VectorsTest {
    @Test
    void theFilesAreWhatIsMade() throws Exception {
        Path folder = Path.of(System.getProperty("vectors"));
        for (Vector vector : Vectors.make()) {
            assertArrayEquals(Files.readAllBytes(folder.resolve(vector.name() + ".stx")), vector.stx(), vector.name());
        }
        for (String name : new String[] {"epoch-1", "epoch-2"}) {
            assertArrayEquals(Files.readAllBytes(folder.resolve(name + ".parameters")), Consortium.PARAMETERS.get(name), name);
        }
    }
}
