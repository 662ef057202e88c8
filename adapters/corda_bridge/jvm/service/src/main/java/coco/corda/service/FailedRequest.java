package coco.corda.service;

import coco.corda.wire.Failed;

/** The worker cannot do what a request asks; nothing is said about its transaction. */
final class FailedRequest extends RuntimeException {
    final Failed.Code code;

    FailedRequest(Failed.Code code, String message) {
        super(message, null, false, false);
        this.code = code;
    }

    static FailedRequest malformed(String message) {
        return new FailedRequest(Failed.Code.MALFORMED, message);
    }

    static FailedRequest tooLarge(String message) {
        return new FailedRequest(Failed.Code.TOO_LARGE, message);
    }
}
