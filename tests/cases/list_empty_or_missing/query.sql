WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN (u."tags" IS NULL OR len(u."tags") = 0) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE (u."tags" IS NULL OR len(u."tags") = 0)
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
