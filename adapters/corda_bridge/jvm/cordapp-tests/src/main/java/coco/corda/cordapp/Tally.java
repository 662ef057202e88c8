package coco.corda.cordapp;

import java.util.Map;
import java.util.TreeMap;

/** How often the worker was asked, and what it said. */
final class Tally {
    private final Map<String, Integer> notAsked = new TreeMap<>();
    private int valid;
    private int refused;
    private int different;

    synchronized void same(boolean wasValid) {
        if (wasValid) {
            valid++;
        } else {
            refused++;
        }
    }

    synchronized void different() {
        different++;
    }

    synchronized void notAsked(String reason) {
        notAsked.merge(reason, 1, Integer::sum);
    }

    /** Whether the worker said what Corda says, each time, and was asked at all. */
    synchronized boolean isGood() {
        return different == 0 && valid + refused > 0;
    }

    synchronized String report() {
        StringBuilder text = new StringBuilder()
                .append("the worker was asked about ").append(valid + refused + different).append(" transactions: ")
                .append(valid).append(" valid, ").append(refused).append(" refused, each as Corda itself; ")
                .append(different).append(" otherwise");
        notAsked.forEach((reason, count) -> text.append("\nnot asked about ").append(count).append(": ").append(reason));
        return text.toString();
    }
}
