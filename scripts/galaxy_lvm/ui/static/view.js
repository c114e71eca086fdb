"use strict";
// The big view: fluxes, or colours where there are none, drawn anew with every control.

const View = (() => {
  const dialog = document.getElementById("view");
  const canvas = document.getElementById("view-canvas");
  const frame = document.getElementById("view-frame");
  const controls = ["stretch", "bands", "contrast", "brightness", "zoom"].map(
    (name) => document.getElementById(name));
  const [stretch, bands, contrast, brightness, zoom] = controls;
  let image = null, shown = "";

  const stretches = {
    linear: (x) => x,
    asinh: (x) => Math.asinh(60 * x) / Math.asinh(60),
    log: (x) => Math.log1p(500 * Math.max(x, 0)) / Math.log1p(500),
  };

  function percentile(values, share) {
    return values[Math.min(values.length - 1, Math.floor(share * values.length))];
  }

  // Sky and a bright level of a plane: black and white of the stretch.
  function levels(plane) {
    const finite = Array.from(plane).filter(Number.isFinite).sort((a, b) => a - b);
    if (!finite.length) return [0, 1];
    const sky = percentile(finite, 0.4), bright = percentile(finite, 0.998);
    return [sky, Math.max(bright - sky, 1e-9)];
  }

  // Planes of floats, 0 sky and 1 bright: of fluxes two or three bands, of colours three channels.
  function parse(buffer, shape, names, scales) {
    const rgb = names[0] === "red";
    const [height, width] = rgb ? shape : [shape[1], shape[2]];
    const size = height * width;
    const raw = rgb ? new Uint8Array(buffer) : new Float32Array(buffer);
    const planes = names.map((name, band) => {
      const plane = new Float32Array(size);
      for (let i = 0; i < size; i++)
        plane[i] = rgb ? raw[3 * i + band] / 255 : raw[band * size + i] * scales[band];
      return plane;
    });
    if (rgb) return { rgb, height, width, planes, names };
    const mean = new Float32Array(size);
    for (const plane of planes) for (let i = 0; i < size; i++) mean[i] += plane[i] / planes.length;
    const ranges = planes.map(levels), [, bright] = levels(mean);
    planes.forEach((plane, band) => {
      for (let i = 0; i < size; i++) plane[i] -= ranges[band][0];
    });
    return { rgb, height, width, planes, names, bright, ranges };
  }

  // Draw with the controls as they stand, one pixel of the image on one of the canvas.
  function paint(target, { height, width, planes, rgb, ranges, bright }) {
    target.width = width;
    target.height = height;
    const context = target.getContext("2d");
    const out = context.createImageData(width, height);
    const gain = 2 ** Number(contrast.value), shift = Number(brightness.value);
    const one = bands.value === "all" ? null : Number(bands.value);
    const curve = rgb ? (x) => x : stretches[stretch.value];
    const level = (x) => 255 * Math.min(1, Math.max(0, x + shift));
    for (let i = 0; i < width * height; i++) {
      let red, green, blue;
      if (one !== null) {
        const x = planes[one][i] * gain / (rgb ? 1 : ranges[one][1]);
        red = green = blue = curve(Number.isFinite(x) ? Math.max(x, 0) : 0);
      } else if (rgb) {
        [red, green, blue] = planes.map((plane) => (plane[i] - 0.5) * gain + 0.5);
      } else {
        // One curve for the mean of the bands, so that colours stay what they are.
        const [first, ...others] = planes.map(
          (p) => (Number.isFinite(p[i]) ? p[i] : 0) * gain / bright);
        const last = others.at(-1), middle = others.length > 1 ? others[0] : (first + last) / 2;
        const mean = Math.max((first + middle + last) / 3, 1e-6), factor = curve(mean) / mean;
        [red, green, blue] = [last * factor, middle * factor, first * factor];
      }
      out.data.set([level(red), level(green), level(blue), 255], 4 * i);
    }
    context.putImageData(out, 0, 0);
  }

  function draw() {
    if (!image) return;
    paint(canvas, image);
    const fit = Math.min(frame.clientWidth / image.width, frame.clientHeight / image.height);
    canvas.style.width = `${image.width * fit * zoom.value}px`;
    canvas.style.height = `${image.height * fit * zoom.value}px`;
  }

  async function load(address, scales) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error((await answer.json()).error);
    const shape = answer.headers.get("X-Shape").split(",").map(Number);
    const names = answer.headers.get("X-Bands").split(",");
    return parse(await answer.arrayBuffer(), shape, names, scales);
  }

  async function show(address, scales) {
    const problem = document.getElementById("view-problem");
    problem.hidden = true;
    image = null;
    shown = address;
    canvas.width = canvas.height = 1;
    canvas.dataset.drawn = "";
    if (!dialog.open) dialog.showModal();
    try {
      const loaded = await load(address, scales);
      if (shown !== address) return; // another galaxy was asked for meanwhile
      image = loaded;
    } catch (error) {
      if (shown !== address) return;
      problem.textContent = `This image cannot be read: ${error.message}`;
      problem.hidden = false;
      return;
    }
    stretch.disabled = image.rgb;
    image.names.forEach((name, band) => { bands.options[band + 1].textContent = name; });
    bands.options[3].hidden = bands.options[3].disabled = image.names.length < 3;
    if (bands.selectedOptions[0].disabled) bands.value = "all";
    draw();
    canvas.dataset.drawn = image.rgb ? "colours" : "fluxes";
  }

  // The same picture in a canvas elsewhere; `wanted` says whether it still is when it has come.
  async function glance(target, address, scales, wanted) {
    const seen = await load(address, scales);
    if (wanted()) paint(target, seen);
  }

  controls.forEach((control) => control.addEventListener("input", draw));
  window.addEventListener("resize", draw);
  return { dialog, show, glance };
})();
