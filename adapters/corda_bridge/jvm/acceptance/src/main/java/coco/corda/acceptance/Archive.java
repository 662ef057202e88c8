package coco.corda.acceptance;

import java.nio.file.Files;
import java.nio.file.Path;

/** Has a worker verify once what it knows, and write down the classes it needed for that (class data sharing). */
public final class Archive {
    private Archive() {}

    public static void main(String[] arguments) throws Exception {
        Path archive = Worker.archive();
        Files.deleteIfExists(archive);
        Worker worker = Worker.start("-XX:ArchiveClassesAtExit=" + archive);
        Asking.introduce(worker);
        for (Vector vector : Vectors.make()) {
            worker.ask(Asking.verify(vector));
            Asking.describe(worker, vector.stx());
        }
        worker.closeInput();
        worker.waitForEnd();
        worker.close();
        if (!Files.exists(archive)) {
            throw new IllegalStateException("the JVM wrote no archive");
        }
    }
}
