// Fetches the part of the page that changes, while the page is seen. Everything works without this.
"use strict";
(() => {
    const every = 5000;
    let failures = 0;

    const keepOpen = (old, fresh) => {
        const before = old.querySelectorAll("details");
        fresh.querySelectorAll("details").forEach((details, i) => { details.open = Boolean(before[i] && before[i].open); });
    };
    const isBeingSelected = (element) => {
        const selection = document.getSelection();
        return selection && !selection.isCollapsed && element.contains(selection.anchorNode);
    };
    const warn = (text) => {
        let warning = document.getElementById("unreached");
        if (!text) {
            if (warning) warning.remove();
            return;
        }
        if (!warning) {
            warning = document.createElement("p");
            warning.id = "unreached";
            warning.className = "notice";
            document.querySelector("main").prepend(warning);
        }
        warning.textContent = text;
    };
    const refresh = async () => {
        const old = document.getElementById("numbers");
        if (!old || document.hidden || isBeingSelected(old)) return;
        try {
            const answer = await fetch("/numbers", { credentials: "same-origin", cache: "no-store" });
            if (answer.status === 401) {
                location.assign("/login");
                return;
            }
            if (!answer.ok) throw new Error(String(answer.status));
            const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
            const fresh = parsed.getElementById("numbers");
            if (!fresh) throw new Error("no numbers");
            keepOpen(old, fresh);
            old.replaceWith(document.adoptNode(fresh));
            document.title = fresh.dataset.title + " · runledger";
            failures = 0;
            warn("");
        } catch (error) {
            failures += 1;
            if (failures > 1) warn("The daemon does not answer; these are the last numbers. Trying again.");
        }
    };
    setInterval(refresh, every);
    document.addEventListener("visibilitychange", refresh);
    document.addEventListener("keydown", (event) => {
        const field = document.querySelector("input[type=search]");
        if (event.key === "/" && field && document.activeElement !== field) {
            event.preventDefault();
            field.focus();
        }
    });
})();
