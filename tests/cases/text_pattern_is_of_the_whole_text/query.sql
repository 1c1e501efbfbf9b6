WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN regexp_matches(u."city", 'New.York|^York|New$|^shanghai$') THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE regexp_matches(u."city", 'New.York|^York|New$|^shanghai$')
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
