// The live part is replaced every two seconds. The forms stay, so nobody loses what they type.
setInterval(async () => {
  const live = document.querySelector("#live");
  if (live.contains(document.activeElement)) return;
  const response = await fetch(location.href).catch(() => null);
  if (response === null || !response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  live.replaceWith(page.querySelector("#live"));
}, 2000);
