use std::path::Path; use std::time::Instant;
use trm_firmware_host::vision::*;
fn main(){ let dir=std::env::args().nth(1).unwrap(); let csv=std::fs::read_to_string(format!("{dir}/outlines.csv")).unwrap();
 let (mut ok,mut n)=(0,0);
 for line in csv.lines().skip(1){ let f:Vec<_>=line.split(',').map(|s|s.trim_matches('"')).collect(); let p:Vec<f32>=f[1..9].iter().map(|s|s.parse().unwrap()).collect();
  let truth=quad::from_top_left([[p[0],p[1]],[p[2],p[3]],[p[4],p[5]],[p[6],p[7]]]);
  let im=photo::open(Path::new(&format!("{dir}/{}",f[0]))).unwrap(); let t=Instant::now(); let ink=photo::Ink::new(&im);let b=locate::boards(&ink.gray); let t1=t.elapsed();
  n+=1; let Some(board)=b.first() else {println!("BAD {} none {t1:?}",f[0]); continue}; let l=&board.lattice; let side=l.side;
  let size=quad::area(&truth).sqrt();
  let err=|q:&[[f32;2];4]| q.iter().zip(&truth).map(|(a,b)|quad::distance([a[0]*ink.scale,a[1]*ink.scale],*b)/size).fold(0.0,f32::max);
  let e2=err(&board.quad); let good=e2<0.06&&side==9; ok+=usize::from(good);
  println!("{} {} boards {} clarity {:.2} side {side} err {e2:.3} {t1:?}",if good {"ok "}else{"BAD"},f[0],b.iter().map(|b|format!("{}:{:.2}:{:.0}",b.lattice.side,b.lattice.clarity,quad::area(&b.quad)/1000.)).collect::<Vec<_>>().join(" "),l.clarity);
  if let Some(out)=std::env::args().nth(2){ let mut im=image::DynamicImage::ImageLuma8(l.flat.clone()).to_rgb8(); for p in &l.crossings{ for d in -3i32..=3{ for (x,y) in [(p[0] as i32+d,p[1] as i32),(p[0] as i32,p[1] as i32+d)]{ if x>=0&&y>=0&&x<im.width() as i32&&y<im.height() as i32{ im.put_pixel(x as u32,y as u32,image::Rgb([255,0,0])); } } } } im.save(format!("{out}/{}",f[0].replace("jpg","png"))).unwrap(); }
 }
 println!("{ok} of {n}");
}
