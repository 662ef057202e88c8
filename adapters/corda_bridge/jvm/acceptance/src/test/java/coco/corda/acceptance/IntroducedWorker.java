package coco.corda.acceptance;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Tests that ask one worker, which was told what the golden vectors need. */
abstract class IntroducedWorker {
    static Worker worker;
    static List<Vector> vectors;

    @BeforeAll
    static void start() throws Exception {
        vectors = Vectors.make();
        worker = Worker.start();
        Asking.introduce(worker);
    }

    @AfterAll
    static void stop() throws Exception {
        worker.close();
    }

    static Vector named(String name) {
        return vectors.stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow();
    }
}
