// Where the page is: "#/why?user=17850&n=20". A link to a screen has all that it shows.
import { useEffect, useState } from "preact/hooks";

export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { screen: path || "overview", params: new URLSearchParams(query) };
}

export function useRoute() {
  const [route, setRoute] = useState(parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

export function address(screen, values) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value) params.set(name, value);
  return `#/${screen}?${params}`;
}

// Goes there; where it is there already, loads again.
export function go(screen, values) {
  const to = address(screen, values);
  if (location.hash === to) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = to;
}
