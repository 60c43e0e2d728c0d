// Things and surfaces built from data. `ware(parts)` returns a group that stands on z = 0 (metres,
// z up); ../wares.py makes the parts: lathe, box, ball, tube, spire and slab, each with a material.
import * as THREE from "three";
import { randoms, surface } from "/page/parts.js";

const shade = (context, tone, strength) => {
  context.fillStyle = `rgba(${tone},${tone},${tone},${strength})`;
};

function canvasTexture(canvas, [u, v]) {
  const texture = new THREE.CanvasTexture(canvas);
  texture.colorSpace = THREE.SRGBColorSpace;
  texture.wrapS = texture.wrapT = THREE.RepeatWrapping;
  texture.repeat.set(u, v);
  texture.anisotropy = 8;
  return texture;
}

const PAINTERS = {
  stripes(context, size, [, ink]) {
    context.fillStyle = ink;
    for (let i = 0; i < 6; i++) context.fillRect(0, (i * size) / 6, size, size / 14);
  },
  rings(context, size, [, ink]) {
    context.fillStyle = ink;
    for (const [from, to] of [[0.18, 0.26], [0.72, 0.8]]) context.fillRect(0, from * size, size, (to - from) * size);
  },
  dots(context, size, [, ink], random) {
    context.fillStyle = ink;
    for (let i = 0; i < 26; i++) {
      context.beginPath();
      context.arc(random() * size, random() * size, size * (0.02 + 0.025 * random()), 0, 7);
      context.fill();
    }
  },
  // Print: a title bar, lines of small text and a picture.
  print(context, size, [, ink, second], random) {
    context.fillStyle = ink;
    context.fillRect(0.12 * size, 0.12 * size, 0.76 * size, 0.12 * size);
    for (let row = 0; row < 7; row++) {
      let x = 0.12;
      while (x < 0.8) {
        const word = 0.03 + 0.1 * random();
        context.fillRect(x * size, (0.64 + row * 0.042) * size, Math.min(word, 0.88 - x) * size, 0.018 * size);
        x += word + 0.02;
      }
    }
    context.fillStyle = second ?? ink;
    context.beginPath();
    context.arc((0.3 + 0.4 * random()) * size, 0.44 * size, (0.08 + 0.07 * random()) * size, 0, 7);
    context.fill();
  },
  wood(context, size, [paint], random) {
    for (let i = 0; i < 60; i++) {
      shade(context, random() < 0.7 ? 0 : 255, 0.03 + 0.05 * random());
      context.fillRect(0, random() * size, size, 1 + 5 * random());
    }
  },
};

function pattern({ kind, colours, seed, repeat }) {
  const size = 256;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = colours[0];
  context.fillRect(0, 0, size, size);
  PAINTERS[kind](context, size, colours, randoms(seed));
  return canvasTexture(canvas, repeat);
}

function material({ paint, roughness, metal, opacity, pattern: drawn }) {
  return new THREE.MeshStandardMaterial({
    color: drawn ? "#ffffff" : paint,
    map: drawn ? pattern(drawn) : null,
    roughness,
    metalness: metal,
    opacity,
    transparent: opacity < 1,
    depthWrite: opacity === 1,
    side: THREE.DoubleSide,
  });
}

const SHAPES = {
  // A solid of revolution about z from (radius, z) pairs.
  lathe({ profile }) {
    const geometry = new THREE.LatheGeometry(profile.map(([r, z]) => new THREE.Vector2(r, z)), 48);
    return geometry.rotateX(Math.PI / 2);
  },
  box: ({ size }) => new THREE.BoxGeometry(...size),
  ball: ({ size }) => new THREE.SphereGeometry(0.5, 40, 28).scale(...size),
  tube({ path, radius }) {
    const curve = new THREE.CatmullRomCurve3(path.map((p) => new THREE.Vector3(...p)));
    return new THREE.TubeGeometry(curve, 40, radius, 14, false);
  },
  // A pyramid with a square base.
  spire({ radius, height }) {
    const geometry = new THREE.ConeGeometry(radius, height, 4).toNonIndexed();
    geometry.computeVertexNormals();
    return geometry.rotateX(Math.PI / 2).rotateZ(Math.PI / 4).translate(0, 0, height / 2);
  },
  // An outline in x and y, extruded upwards.
  slab({ outline, height }) {
    const shape = new THREE.Shape(outline.map(([x, y]) => new THREE.Vector2(x, y)));
    return new THREE.ExtrudeGeometry(shape, { depth: height, bevelEnabled: false });
  },
};

export function ware(parts) {
  const group = new THREE.Group();
  for (const part of parts) {
    const mesh = new THREE.Mesh(SHAPES[part.shape](part), material(part.material));
    mesh.position.set(...part.at);
    mesh.rotation.set(...part.turn);
    mesh.castShadow = part.material.opacity > 0.6;
    mesh.receiveShadow = true;
    group.add(mesh);
  }
  return group;
}

const WEAVES = {
  checks(context, size, ink) {
    const n = 8;
    context.fillStyle = ink;
    for (let i = 0; i < n; i += 2) {
      context.fillRect((i * size) / n, 0, size / n, size);
      context.fillRect(0, (i * size) / n, size, size / n);
    }
  },
  stripes(context, size, ink) {
    context.fillStyle = ink;
    for (let i = 0; i < 6; i++) context.fillRect((i * size) / 6, 0, size / 15, size);
  },
  speckle(context, size, ink, random) {
    for (let i = 0; i < 2600; i++) {
      context.fillStyle = ink;
      context.beginPath();
      context.arc(random() * size, random() * size, 0.6 + 2.2 * random(), 0, 7);
      context.fill();
    }
  },
  planks(context, size, ink, random) {
    for (let i = 0; i < 5; i++) {
      shade(context, random() < 0.5 ? 0 : 255, 0.06 * random());
      context.fillRect(0, (i * size) / 5, size, size / 5);
      context.fillStyle = ink;
      context.fillRect(0, (i * size) / 5, size, 2);
    }
    for (let i = 0; i < 900; i++) {
      shade(context, random() < 0.65 ? 0 : 255, 0.07 * random());
      context.fillRect(random() * size, random() * size, 60 + 300 * random(), 1 + 2 * random());
    }
  },
};

// The top of a table or a floor: `kind` is plain, or one of the weaves in a second colour.
export function cover({ kind, rgb, ink, seed, repeat }) {
  const grain = { blotch: 0.03, grain: 0.05, streak: kind === "planks" ? 90 : 10, cpu: true };
  const texture = surface(seed, rgb, grain);
  if (kind !== "plain") {
    const canvas = texture.image;
    WEAVES[kind](canvas.getContext("2d"), canvas.width, ink, randoms(seed + 5));
    texture.needsUpdate = true;
  }
  // Mirrored, so that no seam shows.
  texture.wrapS = texture.wrapT = THREE.MirroredRepeatWrapping;
  texture.repeat.set(repeat, repeat);
  return texture;
}
