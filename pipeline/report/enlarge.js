"use strict";
(() => {
  const tiles = [...document.querySelectorAll(".tile")];
  const viewer = document.querySelector(".viewer");
  const shown = viewer.querySelector(".shown");
  let current = 0;

  const show = (index) => {
    current = (index + tiles.length) % tiles.length;
    const parts = [".name", ".pictures", ".chips", ".numbers", ".all"];
    const found = parts.map((part) => tiles[current].querySelector(part)).filter(Boolean);
    shown.replaceChildren(...found.map((part) => part.cloneNode(true)));
    viewer.querySelector(".position").textContent = `${current + 1} of ${tiles.length}`;
    if (!viewer.open) viewer.showModal();
    viewer.scrollTop = 0;
  };

  tiles.forEach((tile, index) => {
    tile.querySelector(".enlarge").addEventListener("click", () => show(index));
  });
  viewer.querySelector(".previous").addEventListener("click", () => show(current - 1));
  viewer.querySelector(".next").addEventListener("click", () => show(current + 1));
  viewer.querySelector(".close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close(); // the backdrop
  });
  viewer.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      show(current + step);
    }
  });
  viewer.addEventListener("close", () => {
    shown.replaceChildren();
    tiles[current].querySelector(".enlarge").focus();
  });
})();
