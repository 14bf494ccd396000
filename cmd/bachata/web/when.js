// Times as people read them, in the language and time zone of the browser.

export const clock = (at) => new Date(at).toLocaleTimeString([], { timeStyle: "short" });

function daysAgo(at) {
  const midnight = (t) => new Date(t).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(at)) / 86_400_000);
}

export function dayName(at) {
  const ago = daysAgo(at);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return new Date(at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

export function shortTime(at) {
  const ago = daysAgo(at);
  if (ago === 0) return clock(at);
  if (ago < 7) return new Date(at).toLocaleDateString([], { weekday: "short" });
  return new Date(at).toLocaleDateString([], { day: "numeric", month: "short" });
}
